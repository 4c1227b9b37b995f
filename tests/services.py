"""
What the suite can use beside Python, and what to do when it does not answer.

``python -m tests.services`` says for each whether it answers; its exit status is the number absent.
"""

from __future__ import annotations

import functools
import os
import sys
import warnings
from typing import Final

import docker
import pytest
from docker.errors import DockerException
from requests.exceptions import RequestException

from tests import databases

NAMES: Final = (*databases.NAMES, "docker")


def is_ci() -> bool:
    """Must everything answer? With ``CI=true`` an absent service is a failure, not a skip."""
    return os.environ.get("CI", "").lower() in {"1", "true"}


@functools.cache
def absence(name: str) -> str:
    """Why the service ``name``, one of ``NAMES``, cannot be used, in one line; empty when it answers."""
    return _docker_absence() if name == "docker" else databases.absence(name)


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
    try:
        client = docker.from_env(timeout=5)
    except DockerException as error:
        return _first_line(error)
    try:
        client.ping()
    except (DockerException, RequestException) as error:
        return _first_line(error)
    finally:
        client.close()
    return ""


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
