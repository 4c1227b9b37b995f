"""
The settings of the package: one dict, ``CONTAINER_MANAGER``, read only here.

``SETTINGS`` is the list of them: name, type, default and one line each.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings as django_settings

from container_manager.retry import BUILTIN, RetryPolicy, policy_from_settings

DAY: Final = 86_400
DATABASE: Final = "database"
"""The ``OUTPUT_STORE`` that is no storage."""

BUILTIN_EXECUTORS: Final[dict[str, str]] = {
    "process": "container_manager.executors.process.ProcessExecutor",
    "docker": "container_manager.executors.docker.DockerExecutor",
    "podman": "container_manager.executors.docker.PodmanExecutor",
    "kubernetes": "container_manager.executors.kubernetes.KubernetesExecutor",
    "fake": "container_manager.executors.fake.FakeExecutor",
}


@dataclass(frozen=True, slots=True)
class Setting:
    """One key of ``CONTAINER_MANAGER``."""

    types: tuple[type, ...]
    default: Any
    help: str
    lowest: float = -math.inf
    highest: float = math.inf


SETTINGS: Final[dict[str, Setting]] = {
    "EXECUTORS": Setting(
        (dict,), {}, "More executors by name: {'mine': 'dotted.path.MyExecutor'}; the built-in ones stay."
    ),
    "DEFAULT_IMAGE": Setting((str,), "", "Image of jobs that name none."),
    "IMAGES": Setting(
        (list, tuple, type(None)),
        None,
        "Images that jobs may run, as patterns: ['registry.example.com/*', 'python:3.13*']; None = any.",
    ),
    "ALLOW_PROCESS_EXECUTOR": Setting((bool,), False, "Allow local processes, which isolate nothing, without DEBUG."),
    "INSTALLATION": Setting(
        (str,), "", "Id of this installation, 1-8 of a-z 0-9; default: random, kept in the database."
    ),
    "MAX_QUEUE_DEPTH": Setting((int, type(None)), None, "Most jobs in the queue at once; None = no limit.", lowest=0),
    "POLL_INTERVAL": Setting(
        (int, float),
        1.0,
        "Seconds between looks at an idle queue, at most; while listening 5 times that.",
        lowest=0.01,
    ),
    "NOTIFY": Setting(
        (bool,),
        True,
        "PostgreSQL: each commit that queues jobs notifies the channel container_manager, and workers listen.",
    ),
    "LISTEN": Setting(
        (dict, type(None)),
        {},
        "PostgreSQL: what workers listen with instead of DATABASES' own: {'port': 5432} past a pooler; None = not.",
    ),
    "HEARTBEAT_INTERVAL": Setting((int, float), 10.0, "Seconds between a worker's heartbeats.", lowest=0.01),
    "WORKER_TIMEOUT": Setting(
        (int, float), 45.0, "Seconds without a heartbeat after which a worker is dead.", lowest=0.1
    ),
    "HOST_TIMEOUT": Setting(
        (int, float), 900.0, "Seconds without any live worker on a host after which its attempts are lost.", lowest=0.1
    ),
    "START_TIMEOUT": Setting(
        (int, float), 600.0, "Seconds an attempt may take from its claim to its start, pull included.", lowest=0.1
    ),
    "STOP_GRACE_SECONDS": Setting((int, float), 10.0, "Seconds between SIGTERM and SIGKILL.", lowest=0),
    "MISSING_GRACE_SECONDS": Setting(
        (int, float), 60.0, "Seconds a healthy engine must not know an execution, twice, before it is lost.", lowest=0
    ),
    "ORPHAN_GRACE_SECONDS": Setting(
        (int, float),
        300.0,
        "Seconds an execution without an open attempt is left alone before it is removed.",
        lowest=0,
    ),
    "MAX_RESCUES": Setting((int,), 10, "Rescues of one job before it is given up as lost.", lowest=0),
    "LIMITS": Setting(
        (dict,), {}, "Most jobs on their way: {'tenant': 10, 'tenant:acme': 50, 'definition:transcode': 4}; None = any."
    ),
    "RETRY_POLICIES": Setting((dict,), {}, "Named retry policies; a job names one in retry_policy."),
    "RETENTION": Setting(
        (dict, type(None)),
        {
            "completed": 7 * DAY,
            "failed": 30 * DAY,
            "cancelled": 7 * DAY,
            "logs": 7 * DAY,
            "handler_calls": 7 * DAY,
            "batches": 90 * DAY,
        },
        "Seconds to keep finished jobs, by status, their logs, delivered handler calls, ended batches; None = all.",
    ),
    "HANDLER_THREADS": Setting((int,), 4, "Handlers that a worker calls at once.", lowest=1),
    "HANDLER_TIMEOUT": Setting((int, float), 60.0, "Seconds a handler may take; then it is interrupted.", lowest=0.1),
    "HANDLER_MAX_TRIES": Setting(
        (int,), 12, "Tries of a handler's call before it is given up, kept and shown as failed.", lowest=1
    ),
    "WEBHOOKS": Setting(
        (dict,), {}, "By name: {'url': ..., 'secret': ..., 'events': [...], 'queues': [...], 'definitions': [...]}."
    ),
    "MAIL_ADMINS": Setting(
        (list, tuple), (), "Events of which ADMINS are told by mail: 'failed', 'unserved', or any other of on_job."
    ),
    "VISIBLE_JOBS": Setting(
        (str,), "", "Dotted path of a function (jobs, user) that returns the jobs the user may see; empty = all."
    ),
    "METRICS_TOKEN": Setting(
        (str,), "", "Bearer token that may read the metrics; empty = only users who may view jobs."
    ),
    "OUTPUT_STORE": Setting(
        (str, type(None)),
        DATABASE,
        "Where the output of ended attempts is kept: 'database', an alias of STORAGES; None = no output is kept.",
    ),
    "LOG_MAX_BYTES": Setting(
        (int,),
        1_048_576,
        "Bytes of output kept per attempt: the first and the last half.",
        lowest=32_768,
        highest=2_080_000,
    ),
}


def get(name: str) -> Any:
    """The value of the setting ``name`` now; tests may override ``CONTAINER_MANAGER`` at any time."""
    configured: Mapping[str, Any] = getattr(django_settings, "CONTAINER_MANAGER", {})
    return configured.get(name, SETTINGS[name].default)


def executors() -> dict[str, str]:
    """Dotted path of each executor by name: the built-in ones and the project's own."""
    return {**BUILTIN_EXECUTORS, **get("EXECUTORS")}


def retry_policies() -> dict[str, RetryPolicy]:
    """Each retry policy by name: the built-in ones and the project's; ``PolicyError`` when one is wrong."""
    return {**BUILTIN, **{name: policy_from_settings(values) for name, values in get("RETRY_POLICIES").items()}}


def limit_of(kind: str, name: str) -> int | None:
    """How many jobs of one ``tenant`` or ``definition`` may be on their way; ``None`` = any number."""
    limits = get("LIMITS")
    limit: int | None = limits.get(f"{kind}:{name}", limits.get(kind))
    return limit


def is_process_executor_allowed() -> bool:
    return bool(django_settings.DEBUG or get("ALLOW_PROCESS_EXECUTOR"))
