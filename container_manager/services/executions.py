"""Executors of hosts, and the specification of one attempt."""

from __future__ import annotations

import json
from functools import lru_cache

from container_manager import conf, telemetry
from container_manager.executors import Executor, executor_class
from container_manager.models import ContainerJob, ExecutorHost, Installation
from container_manager.ownership import Claim
from container_manager.specs import Handle, JobSpec, execution_name
from container_manager.validation import argument_list


def executor_for(host: ExecutorHost, installation: str) -> Executor:
    """
    The executor of ``host``; one per process for the same options.

    ``ConfigurationError`` when its type is unknown or its library is missing.
    """
    return _executor(host.executor_type, json.dumps(host.options, sort_keys=True), installation)


@lru_cache(maxsize=64)
def _executor(executor_type: str, options: str, installation: str) -> Executor:
    return executor_class(executor_type)(json.loads(options), installation=installation)


def installation_id(using: str) -> str:
    return Installation.current(using).identifier


def handle_of(claim: Claim, installation: str) -> Handle:
    return Handle(execution_name(installation, claim.job.pk, claim.number))


def image_of(job: ContainerJob) -> str:
    """The image that ``job`` runs; empty when neither it nor the settings name one."""
    return str(job.image or conf.get("DEFAULT_IMAGE"))


def build_spec(claim: Claim, installation: str) -> JobSpec:
    """What the executor is told: the job's columns, resolved. ``ValueError`` for a command that cannot be split."""
    job = claim.job
    shared = job.environment_template.environment if job.environment_template else {}
    environment = {**telemetry.variables(job.trace_context), **shared, **job.environment}
    if job.shell:
        command: tuple[str, ...] = ("/bin/sh", "-c", job.command)
    else:
        command = argument_list(job.command)
    return JobSpec(
        installation=installation,
        job_id=job.pk,
        attempt=claim.number,
        image=image_of(job),
        command=command,
        entrypoint=argument_list(job.entrypoint),
        environment=environment,
        working_directory=job.working_directory,
        memory_limit=job.memory_limit,
        cpu_limit=job.cpu_limit,
        user=job.user,
        network=job.network,
        gpus=job.gpus,
        timeout_seconds=job.timeout_seconds,
        user_labels=job.labels,
    )
