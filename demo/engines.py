"""Which engine the demonstration runs on: Docker where one answers and has an image, local processes elsewhere."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Final
from uuid import uuid4

from django.core.exceptions import ValidationError
from docker import APIClient

from container_manager.exceptions import ContainerManagerError, ExecutorUnavailableError
from container_manager.executors.docker import DockerExecutor
from container_manager.executors.docker.client import Engine
from container_manager.executors.docker.options import DEFAULT_BASE_URL, DockerOptions
from container_manager.executors.docker.pull import ImagePuller
from container_manager.hosts import node_name
from container_manager.models import ExecutorHost
from container_manager.specs import ExecutionState, JobSpec

SMALL_IMAGES: Final = ("busybox", "alpine", "debian", "ubuntu", "python")
"""What has a shell, the smallest first; any tag will do."""
PULL_SECONDS: Final = 20.0
PROBE_SECONDS: Final = 10.0


@dataclass(frozen=True)
class Choice:
    """The host that the jobs go to, the image they run, and one line about why."""

    host: str
    image: str
    line: str


def choose_host() -> Choice:
    """The host is in the database, ready to be used. Leaves no container behind, and at most an image of busybox."""
    options = engine_options()
    try:
        DockerOptions.parse(options)
        with_docker = _with_docker(options)
    except ValidationError as error:
        return _with_processes(f"DOCKER_HOST: {' '.join(error.messages)}")
    except ContainerManagerError as error:
        return _with_processes(str(error))
    return with_docker


def engine_options() -> dict[str, Any]:
    """The engine of ``DOCKER_HOST`` and ``DOCKER_CERT_PATH``, else the one at the usual socket."""
    options: dict[str, Any] = {"base_url": os.environ.get("DOCKER_HOST") or DEFAULT_BASE_URL, "timeout": 10}
    certificates = os.environ.get("DOCKER_CERT_PATH")
    if certificates and not options["base_url"].startswith("unix:"):
        files = {"ca_cert": "ca.pem", "client_cert": "cert.pem", "client_key": "key.pem"}
        options["tls"] = {name: str(Path(certificates) / file) for name, file in files.items()}
    return options


def _with_docker(options: Mapping[str, Any]) -> Choice:
    executor = DockerExecutor(options, installation=uuid4().hex[:8])
    try:
        version = executor.check().version
        image = _image(options)
    finally:
        executor.close()
    refusals = []
    for network in ("bridge", "none"):
        refusal = _refusal({**options, "network": network}, image)
        if not refusal:
            break
        refusals.append(refusal)
    else:
        raise ExecutorUnavailableError(f"Docker cannot run the image {image}: {refusals[-1]}")
    node = node_name() if DockerExecutor.is_node_bound(options) else ""
    # The engine's identity is forgotten, so that another may answer next time.
    values = {"executor_type": "docker", "options": {**options, "network": network}, "engine_id": "", "node": node}
    ExecutorHost.objects.update_or_create(name="docker", defaults=values)
    why = " without a network, since this engine's bridge does not work" if refusals else ""
    line = f"Docker {version} answers at {options['base_url']}: the jobs run as containers of {image}{why}."
    return Choice("docker", image, line)


def _with_processes(why: str) -> Choice:
    values = {"executor_type": "process", "node": node_name()}
    ExecutorHost.objects.update_or_create(name="local", defaults=values)
    return Choice("local", "", f"The jobs run as local processes (executor 'process'). No Docker engine to use: {why}")


def _image(options: Mapping[str, Any]) -> str:
    """An image with a shell that the engine has, pulled if need be."""
    engine = Engine(DockerOptions.parse(options))
    try:
        with engine.calling("list its images") as client:
            present = _tags(client)
        for name in SMALL_IMAGES:
            found = [tag for tag in present if tag.removeprefix("docker.io/library/").rpartition(":")[0] == name]
            if found:
                return found[0]
        ImagePuller(engine, inactivity_seconds=PULL_SECONDS / 2, total_seconds=PULL_SECONDS).pull("busybox:latest")
        return "busybox:latest"
    finally:
        engine.close()


def _tags(client: APIClient) -> list[str]:
    return sorted(tag for image in client.images() for tag in image["RepoTags"] or ())


def _refusal(options: Mapping[str, Any], image: str) -> str:
    """Why a container of ``image`` does not run with ``options``; empty when it does."""
    executor = DockerExecutor({**options, "pull_policy": "never"}, installation=uuid4().hex[:8])
    spec = JobSpec(
        installation=executor.installation, job_id=uuid4(), attempt=1, image=image, command=("sh", "-c", "exit 0")
    )
    try:
        handle = executor.create(spec)
        try:
            executor.start(handle)
            deadline = monotonic() + PROBE_SECONDS
            while monotonic() < deadline:
                (seen,) = executor.observe([handle])
                if seen.state is ExecutionState.EXITED:
                    return "" if seen.exit_code == 0 else seen.error or f"'exit 0' exited with {seen.exit_code}"
                sleep(0.05)
            return f"'exit 0' had not ended after {PROBE_SECONDS:g} s"
        finally:
            executor.stop(handle, 0)
            executor.remove(handle)
    except ContainerManagerError as error:
        return str(error)
    finally:
        executor.close()
