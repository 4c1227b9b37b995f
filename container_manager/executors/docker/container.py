"""What the engine is told to create: a job's specification under its host's policy."""

from __future__ import annotations

import re
from typing import Any

from container_manager.exceptions import SpecificationError
from container_manager.executors.docker.dialects import Dialect
from container_manager.executors.docker.files import volumes
from container_manager.executors.docker.options import DockerOptions
from container_manager.executors.limits import effective_limit
from container_manager.specs import JobSpec

MEBIBYTE = 1 << 20


def create_config(spec: JobSpec, options: DockerOptions, dialect: Dialect) -> dict[str, Any]:
    """
    The body of ``POST /containers/create``. ``SpecificationError`` for what the host's policy refuses.

    No job can get more than this gives: no privileges, no mounts of the host's files, no namespace of the host.
    """
    if not spec.image:
        raise SpecificationError("The job names no image, and there is no default: set DEFAULT_IMAGE.")
    return {
        "Image": spec.image,
        "Cmd": list(spec.command) or None,
        "Entrypoint": list(spec.entrypoint) or None,
        "Env": [f"{name}={value}" for name, value in spec.container_environment().items()],
        "WorkingDir": spec.working_directory,
        "User": spec.user or options.user,
        "Labels": spec.labels,
        "Volumes": volumes(has_files=spec.has_files, has_secrets=bool(spec.secret_files)),
        # A job has an exit code; probing its health would only cost the engine.
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": _host_config(spec, options, dialect),
    }


def _host_config(spec: JobSpec, options: DockerOptions, dialect: Dialect) -> dict[str, Any]:
    memory = effective_limit("memory_limit", spec.memory_limit, options.default_memory_limit, options.max_memory_limit)
    cores = effective_limit("cpu_limit", spec.cpu_limit, options.default_cpu_limit, options.max_cpu_limit)
    config: dict[str, Any] = {
        "NetworkMode": _network(spec.network or options.network, options),
        "CapDrop": ["ALL"],
        "CapAdd": list(options.cap_add),
        "SecurityOpt": ["no-new-privileges"],
        "Privileged": False,
        "ReadonlyRootfs": options.read_only,
        "Init": True,
        "PidsLimit": options.pids_limit,
        "Tmpfs": dict(options.tmpfs),
        "Ulimits": [_ulimit(name, limit) for name, limit in options.ulimits.items()],
        "LogConfig": {"Type": "json-file", "Config": _log_config(options, dialect)},
        "RestartPolicy": {"Name": "no"},
        "AutoRemove": False,
    }
    if memory is not None:
        config["Memory"] = config["MemorySwap"] = int(memory) * MEBIBYTE
    if cores is not None:
        config["NanoCpus"] = round(cores * 1_000_000_000)
    if options.runtime:
        config["Runtime"] = options.runtime
    if spec.gpus:
        config["DeviceRequests"] = [_gpu_request(spec.gpus)]
    return config


def _network(name: str, options: DockerOptions) -> str:
    allowed = {"none", options.network, *options.allowed_networks}
    if name not in allowed:
        raise SpecificationError(
            f"The network {name!r} is not allowed on this host, only {', '.join(sorted(allowed))}: "
            "its option 'allowed_networks' lists them."
        )
    return name


def _log_config(options: DockerOptions, dialect: Dialect) -> dict[str, str]:
    if dialect.keeps_log_files:
        return {"max-size": options.log_max_size, "max-file": str(options.log_max_files)}
    number, unit = int(options.log_max_size[:-1]), options.log_max_size[-1]
    return {"max-size": f"{number * options.log_max_files}{unit}"}


def _ulimit(name: str, limit: int | tuple[int, int]) -> dict[str, Any]:
    soft, hard = (limit, limit) if isinstance(limit, int) else limit
    return {"Name": name, "Soft": soft, "Hard": hard}


def _gpu_request(gpus: str) -> dict[str, Any]:
    request: dict[str, Any] = {"Driver": "", "Capabilities": [["gpu"]], "Options": {}}
    if gpus == "all":
        return {**request, "Count": -1}
    if re.fullmatch(r"[1-9]\d*", gpus):
        return {**request, "Count": int(gpus)}
    if re.fullmatch(r"device=[^,\s]+(,[^,\s]+)*", gpus):
        return {**request, "DeviceIDs": gpus.removeprefix("device=").split(",")}
    raise SpecificationError(f"gpus {gpus!r} must be 'all', a number or 'device=0,1'.")
