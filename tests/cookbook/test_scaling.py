"""The page on growing: the same code of a user's runs on each engine, on hosts made as the page makes them."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from datetime import date
from typing import Any, Final

import pytest
from django.core.exceptions import ValidationError

from container_manager.executors import executor_class
from container_manager.models import ContainerJob, ExecutorHost, Installation
from container_manager.states import Status
from tests.cookbook.pages import blocks_of, names_of
from tests.executors.docker.running import ADDRESS, IMAGE
from tests.processes import ending, spawn_worker

pytestmark = pytest.mark.django_db(transaction=True)

PAGE: Final = "../scaling.md"
CODE, DOCKER, REMOTE, CLUSTER, DRAIN, MOVE = range(6)
DAY: Final = date(2026, 3, 1)


@pytest.fixture
def page() -> dict[str, Any]:
    """What a user has written before the first host."""
    blocks = blocks_of(PAGE)
    assert len(blocks) == MOVE + 1
    return names_of(PAGE, [block.replace("registry.example.com/reports:7", IMAGE) for block in blocks[: CODE + 1]])


@pytest.fixture
def nothing_left() -> Iterator[None]:
    yield
    for host in ExecutorHost.objects.filter(executor_type__in=["docker", "podman", "kubernetes"], queues=["default"]):
        executor = executor_class(host.executor_type)(
            host.options, installation=Installation.current("default").identifier
        )
        for seen in executor.observe():
            executor.stop(seen.handle, 0)
            executor.remove(seen.handle)
        executor.close()


def add(block: int, **here: Any) -> ExecutorHost:
    """The host of the page's ``block``, with what is different on this machine."""
    names_of(PAGE, ["from container_manager.models import ExecutorHost", blocks_of(PAGE)[block]])
    host = ExecutorHost.objects.latest("pk")
    host.full_clean()
    for name, value in here.items():
        setattr(host, name, value)
    host.save()
    return host


def run(page: dict[str, Any]) -> ContainerJob:
    job: ContainerJob = page["queue_report"](DAY)
    worker = spawn_worker("--drain", "--poll-interval", "0.1")
    with ending(worker):
        said, _ = worker.communicate(timeout=240)
        assert worker.returncode == 0, said
    job.refresh_from_db()
    assert (job.status, job.output()) == (Status.COMPLETED, "report of 2026-03-01\n"), job.error
    return job


def test_on_a_laptop_it_runs_without_any_host(page: dict[str, Any]) -> None:
    job = run(page)
    host = job.attempts.get().host
    assert host is not None
    assert host.is_embedded


@pytest.mark.docker
@pytest.mark.usefixtures("nothing_left")
def test_it_runs_on_docker_as_it_is(page: dict[str, Any]) -> None:
    host = add(DOCKER, options={"base_url": ADDRESS})
    assert (host.node, run(page).attempts.get().host) == (platform.node(), host)


@pytest.mark.podman
@pytest.mark.usefixtures("nothing_left")
def test_it_runs_on_podman_as_it_is(page: dict[str, Any]) -> None:
    host = add(DOCKER, executor_type="podman", options={"base_url": os.environ["PODMAN_HOST"], "network": "none"})
    assert run(page).attempts.get().host == host


@pytest.mark.kubernetes
@pytest.mark.slow
@pytest.mark.usefixtures("nothing_left")
def test_it_runs_on_a_cluster_as_it_is(page: dict[str, Any]) -> None:
    host = add(CLUSTER, options={"kubeconfig": os.environ["KUBECONFIG"], "user": "1000"})
    assert run(page).attempts.get().host == host


def test_a_remote_engine_has_the_options_of_the_page() -> None:
    host = add(REMOTE)
    assert host.served_queues == ["default", "large", "host:large"]
    host.options = {**host.options, "base_url": "unix:///var/run/docker.sock"}
    with pytest.raises(ValidationError, match="base_url"):
        host.full_clean()


def test_what_was_pinned_to_a_drained_host_is_moved(page: dict[str, Any], host: ExecutorHost) -> None:
    ExecutorHost.objects.create(name="docker", executor_type="docker", options={})
    names = names_of(PAGE, [*blocks_of(PAGE)[: CODE + 1], "from container_manager.models import ExecutorHost",
                            *blocks_of(PAGE)[DRAIN:]])  # fmt: skip
    assert not ExecutorHost.objects.get(name="docker").is_active
    job = page["queue_report"](DAY)
    ContainerJob.objects.filter(pk=job.pk).update(queue="host:docker")
    job.refresh_from_db()
    names["move"](job, f"host:{host.name}")
    job.refresh_from_db()
    assert (job.queue, job.status) == (host.own_queue, Status.QUEUED)
