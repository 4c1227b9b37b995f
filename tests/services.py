"""
What the suite can use beside Python, and what to do when it does not answer.

``python -m tests.services`` says for each whether it answers; its exit status is the number absent.
"""

from __future__ import annotations

import functools
import gc
import os
import shutil
import sys
import warnings
from collections.abc import Callable
from typing import Final

import docker
import kubernetes
import pytest
from docker.errors import DockerException
from requests.exceptions import RequestException
from urllib3.exceptions import HTTPError

from tests import databases

NAMES: Final = (*databases.NAMES, "docker", "podman", "kubernetes", "chromium", "registry")


def is_ci() -> bool:
    """Must everything answer? With ``CI=true`` an absent service is a failure, not a skip."""
    return os.environ.get("CI", "").lower() in {"1", "true"}


@functools.cache
def absence(name: str) -> str:
    """Why the service ``name``, one of ``NAMES``, cannot be used, in one line; empty when it answers."""
    probe = _PROBES.get(name)
    return probe() if probe else databases.absence(name)


def require_service(name: str, reason: str = "") -> None:
    """The service ``name`` answers; otherwise the running test is skipped with the cause, or fails with CI=true."""
    cause = absence(name)
    if not cause:
        return
    message = f"{name} does not answer: {cause}" + (f" ({reason})" if reason else "")
    if is_ci():
        pytest.fail(f"{message}; with CI=true every service must", pytrace=False)
    pytest.skip(message)


def _docker_absence() -> str:
    """``DOCKER_HOST`` and the like are obeyed."""
    return _engine_absence(functools.partial(docker.from_env, timeout=5))


def _podman_absence() -> str:
    """``PODMAN_HOST`` names the socket of a Podman service, for example ``unix:///run/podman/podman.sock``."""
    address = os.environ.get("PODMAN_HOST", "")
    if not address:
        return "PODMAN_HOST is not set"
    return _engine_absence(functools.partial(docker.DockerClient, base_url=address, timeout=5))


def _engine_absence(connect: Callable[[], docker.DockerClient]) -> str:
    with warnings.catch_warnings():
        # The SDK forgets the socket that nobody listened to; found later, it would be some test's error.
        warnings.simplefilter("ignore", ResourceWarning)
        absence = _first_engine_problem(connect)
        if absence:
            gc.collect()
    return absence


def _first_engine_problem(connect: Callable[[], docker.DockerClient]) -> str:
    try:
        client = connect()
    except DockerException as error:
        return _first_line(error)
    try:
        client.ping()
    except (DockerException, RequestException) as error:
        return _first_line(error)
    finally:
        client.close()
    return ""


def _kubernetes_absence() -> str:
    """The cluster is the one of ``KUBECONFIG``."""
    path = os.environ.get("KUBECONFIG", "")
    if not path:
        return "KUBECONFIG is not set"
    try:
        with kubernetes.config.new_client_from_config(path) as client:
            kubernetes.client.VersionApi(client).get_code(_request_timeout=5)
    except (kubernetes.config.ConfigException, kubernetes.client.ApiException, HTTPError) as error:
        return _first_line(error)
    return ""


def _chromium_absence() -> str:
    """``CHROMIUM`` is the path of a browser; else the one on the search path."""
    return "" if chromium() else "no chromium on the search path, and CHROMIUM names none"


def _registry_absence() -> str:
    """A real registry, as a program that tests start: Debian's package ``docker-registry``."""
    return "" if shutil.which("docker-registry") else "no docker-registry on the search path"


def chromium() -> str:
    """The path of the browser for tests; empty when there is none."""
    return os.environ.get("CHROMIUM", "") or shutil.which("chromium") or ""


_PROBES: Final[dict[str, Callable[[], str]]] = {
    "docker": _docker_absence,
    "podman": _podman_absence,
    "kubernetes": _kubernetes_absence,
    "chromium": _chromium_absence,
    "registry": _registry_absence,
}


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]


def main() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    warnings.filterwarnings("ignore", message="Accessing the database during app initialization")
    absences = {name: absence(name) for name in NAMES}
    for name, cause in absences.items():
        sys.stdout.write(f"{name}: {cause or 'answers'}\n")
    return sum(bool(cause) for cause in absences.values())


if __name__ == "__main__":
    sys.exit(main())
