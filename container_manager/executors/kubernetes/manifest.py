"""What the cluster is told to create: one Job per attempt, a specification under its host's policy."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from container_manager import conf
from container_manager.exceptions import SpecificationError
from container_manager.executors.kubernetes.options import USER, KubernetesOptions, is_label
from container_manager.executors.kubernetes.phases import PHASE, Phase
from container_manager.executors.limits import effective_limit
from container_manager.specs import LABEL_PREFIX, JobSpec

CONTAINER: Final = "job"
OTHER_LABELS: Final = LABEL_PREFIX + "labels"
BACKSTOP_SECONDS: Final = 3600
PULL_POLICIES: Final = {"missing": "IfNotPresent", "always": "Always", "never": "Never"}


@dataclass(frozen=True, slots=True)
class Features:
    """What a server of ``version`` knows; an older one would drop such a field without a word."""

    version: tuple[int, int]

    @property
    def suspend(self) -> bool:
        return self.version >= (1, 22)

    @property
    def pod_replacement_policy(self) -> bool:
        return self.version >= (1, 29)


def job_manifest(spec: JobSpec, options: KubernetesOptions, features: Features) -> dict[str, Any]:
    """The body of the Job, not started. ``SpecificationError`` for what the host's policy refuses."""
    if not spec.image:
        raise SpecificationError("The job names no image, and there is no default: set DEFAULT_IMAGE.")
    if spec.network:
        raise SpecificationError(
            f"The job asks for the network {spec.network!r}, and Kubernetes has none to choose: a NetworkPolicy limits "
            "what pods reach."
        )
    given = {**options.labels, **spec.labels}
    labels = {name: value for name, value in given.items() if is_label(name, value)}
    others = {name: value for name, value in given.items() if name not in labels}
    annotations = {**options.annotations, **({OTHER_LABELS: json.dumps(others)} if others else {})}
    pod = {"metadata": {"labels": labels, "annotations": annotations}, "spec": _pod(spec, options)}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": spec.name, "labels": labels, "annotations": {**annotations, PHASE: Phase.CREATED.value}},
        "spec": {**_run_once(spec, options, features), "template": pod},
    }


def _run_once(spec: JobSpec, options: KubernetesOptions, features: Features) -> dict[str, Any]:
    once: dict[str, Any] = {
        "parallelism": 1 if features.suspend else 0,
        "completions": 1,
        "backoffLimit": 0,
        "ttlSecondsAfterFinished": options.ttl_seconds,
    }
    if features.suspend:
        once["suspend"] = True
    if features.pod_replacement_policy:
        once["podReplacementPolicy"] = "Failed"
    if spec.timeout_seconds is not None:
        # Behind the worker's own clock, for when no worker is left: it takes the output away.
        start = options.start_timeout or conf.get("START_TIMEOUT")
        once["activeDeadlineSeconds"] = math.ceil(spec.timeout_seconds + start + BACKSTOP_SECONDS)
    return once


def _pod(spec: JobSpec, options: KubernetesOptions) -> dict[str, Any]:
    volumes = {f"writable-{number}": path for number, path in enumerate(options.writable_paths)}
    pod: dict[str, Any] = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        # The sandbox's process is the first one: it reaps, and a program without handlers obeys SIGTERM.
        "shareProcessNamespace": True,
        "terminationGracePeriodSeconds": max(1, math.ceil(conf.get("STOP_GRACE_SECONDS"))),
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}, **_identity(spec, options)},
        "containers": [_container(spec, options, volumes)],
        "volumes": [{"name": name, "emptyDir": {}} for name in volumes],
    }
    placement = {
        "serviceAccountName": options.service_account,
        "imagePullSecrets": [{"name": name} for name in options.image_pull_secrets],
        "nodeSelector": dict(options.node_selector),
        "tolerations": list(options.tolerations),
        "affinity": dict(options.affinity),
        "priorityClassName": options.priority_class,
        "runtimeClassName": options.runtime_class,
    }
    return pod | {name: value for name, value in placement.items() if value}


def _identity(spec: JobSpec, options: KubernetesOptions) -> dict[str, Any]:
    user = spec.user or options.user
    if not user:
        return {"runAsNonRoot": options.run_as_non_root}
    numbers = USER.fullmatch(user)
    if numbers is None:
        raise SpecificationError(f"The user {user!r} must be numeric on Kubernetes, for example 1000 or 1000:1000.")
    number, group = int(numbers[1]), numbers[2]
    if number == 0 and options.run_as_non_root:
        raise SpecificationError("The user is root, which this host's option 'run_as_non_root' does not allow.")
    identity: dict[str, Any] = {"runAsNonRoot": options.run_as_non_root, "runAsUser": number}
    return identity | ({"runAsGroup": int(group)} if group else {})


def _container(spec: JobSpec, options: KubernetesOptions, volumes: Mapping[str, str]) -> dict[str, Any]:
    container: dict[str, Any] = {
        "name": CONTAINER,
        "image": spec.image,
        "imagePullPolicy": PULL_POLICIES[options.pull_policy],
        "env": _environment(spec, options),
        "resources": _resources(spec, options),
        "securityContext": {
            "privileged": False,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": options.read_only,
            "capabilities": {"drop": ["ALL"], "add": list(options.cap_add)},
        },
        "volumeMounts": [{"name": name, "mountPath": path} for name, path in volumes.items()],
    }
    program = {
        "command": [_literal(word) for word in spec.entrypoint],
        "args": [_literal(word) for word in spec.command],
        "workingDir": spec.working_directory,
    }
    return container | {name: value for name, value in program.items() if value}


def _environment(spec: JobSpec, options: KubernetesOptions) -> list[dict[str, Any]]:
    own = spec.container_environment()
    secrets = [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": reference["secret"], "key": reference["key"]}}}
        for name, reference in options.secrets.items()
        if name not in own
    ]
    return [*secrets, *({"name": name, "value": _literal(value)} for name, value in own.items())]


def _literal(text: str) -> str:
    """``text`` as the cluster must be given it, so that it does not take ``$(NAME)`` for a variable."""
    return text.replace("$", "$$")


def _resources(spec: JobSpec, options: KubernetesOptions) -> dict[str, Any]:
    memory = effective_limit("memory_limit", spec.memory_limit, options.default_memory_limit, options.max_memory_limit)
    cores = effective_limit("cpu_limit", spec.cpu_limit, options.default_cpu_limit, options.max_cpu_limit)
    limits = _quantities(memory, cores)
    if spec.gpus:
        if not (spec.gpus.isdecimal() and int(spec.gpus)):
            raise SpecificationError(f"gpus {spec.gpus!r} must be a number on Kubernetes.")
        limits[options.gpu_resource] = spec.gpus
    requests = _quantities(_least(options.memory_request, memory), _least(options.cpu_request, cores))
    return {name: values for name, values in {"limits": limits, "requests": requests}.items() if values}


def _quantities(memory: float | None, cores: float | None) -> dict[str, str]:
    quantities = {}
    if memory is not None:
        quantities["memory"] = f"{math.ceil(memory)}Mi"
    if cores is not None:
        quantities["cpu"] = f"{max(1, round(cores * 1000))}m"
    return quantities


def _least(request: float | None, limit: float | None) -> float | None:
    return request if request is None or limit is None else min(request, limit)
