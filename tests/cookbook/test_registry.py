"""The page about private registries, with a real one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from container_manager.exceptions import JobValidationError
from container_manager.states import Status
from tests.cookbook.pages import blocks_of, names_of
from tests.executors.docker.running import ADDRESS
from tests.executors.docker.test_private_registry import (  # noqa: F401 - fixtures
    PASSWORD,
    image,
    no_docker_configuration,
    registry,
)
from tests.processes import wait_until
from tests.worker.container_engines import DOCKER

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.docker]


@pytest.fixture
def report(registry: str, image: str, settings: Any) -> Iterator[Any]:  # noqa: F811
    """The page's definition and host, with this registry and this engine."""
    page = [
        block.replace("registry.example.com/team/report:1", image)
        .replace("registry.example.com", registry)
        .replace("unix:///var/run/docker.sock", ADDRESS)
        for block in blocks_of("registry.md")
    ]
    names = names_of("registry.md", page)
    settings.CONTAINER_MANAGER = names["CONTAINER_MANAGER"]
    names["add_host"]().full_clean()
    yield names["Report"]
    wait_until(lambda: not DOCKER.containers())


def test_the_image_is_pulled_with_the_password_that_the_host_refers_to(
    report: Any, drain: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGISTRY_PASSWORD", PASSWORD)
    job = report.queue()
    drain()
    job.refresh_from_db()
    assert (job.status, job.error, job.output()) == (Status.COMPLETED, "", "made a report\n")


@pytest.mark.parametrize(
    ("password", "outcome", "word"), [("wrong", "image_error", ""), (None, "config_error", "REGISTRY_PASSWORD")]
)
def test_a_wrong_or_missing_password_ends_the_job_and_names_the_registry(
    report: Any,
    registry: str,  # noqa: F811
    drain: Callable[[], object],
    monkeypatch: pytest.MonkeyPatch,
    password: str | None,
    outcome: str,
    word: str,
) -> None:
    monkeypatch.delenv("REGISTRY_PASSWORD", raising=False)
    if password:
        monkeypatch.setenv("REGISTRY_PASSWORD", password)
    job = report.queue()
    drain()
    job.refresh_from_db()
    assert (job.status, job.outcome, job.attempt) == (Status.FAILED, outcome, 1)
    assert registry in job.error
    assert word in job.error


def test_another_image_is_refused_when_it_is_queued(report: Any) -> None:
    job = report.build()
    job.image = "registry.example.com/elsewhere:1"
    with pytest.raises(JobValidationError, match="IMAGES"):
        job.validate_specification()
