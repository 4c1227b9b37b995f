"""One database per run and per xdist worker, what the markers mean, and a worker with a host of the fake engine."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings

from container_manager import registry
from container_manager.executors.fake import FakeEngine, engine
from container_manager.handlers import registry as handlers
from container_manager.models import ExecutorHost
from container_manager.worker import WorkerLoop, WorkerOptions
from tests.processes import wait_until
from tests.services import require_service
from tests.worker.container_engines import DOCKER

SERVICES = {"docker": "docker", "podman": "podman", "kubernetes": "kubernetes", "browser": "chromium"}
"""What a test with the marker needs."""


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    tmp_path_factory: pytest.TempPathFactory, django_db_modify_db_settings_parallel_suffix: None
) -> None:
    """
    The test database is this process's own: several runs may share a server or a machine.

    On SQLite it is a file, since some tests have several processes work on it.
    """
    database = settings.DATABASES["default"]
    if settings.TEST_DATABASE == "sqlite":
        name = str(tmp_path_factory.mktemp("database") / "test.sqlite3")
    else:
        name = f"test_container_manager_{os.getpid()}"
    database.setdefault("TEST", {})["NAME"] = name


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Never two race tests at once, nor two browsers."""
    if not config.pluginmanager.hasplugin("xdist"):
        return
    for item in items:
        for group in ("races", "browser"):
            if item.get_closest_marker(group):
                item.add_marker(pytest.mark.xdist_group(group))


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker, service in SERVICES.items():
        if item.get_closest_marker(marker):
            require_service(service)


@pytest.fixture
def fake_engine() -> Iterator[FakeEngine]:
    fake = engine("tests")
    fake.reset()
    yield fake
    fake.reset()


@pytest.fixture
def host(db: None, fake_engine: FakeEngine) -> ExecutorHost:
    return ExecutorHost.objects.create(
        name="fake", executor_type="fake", options={"engine": fake_engine.name}, max_concurrent_jobs=100
    )


@pytest.fixture
def drain() -> Callable[..., WorkerLoop]:
    """Runs a worker in the test's own thread until nothing is left."""

    def run(**options: Any) -> WorkerLoop:
        loop = WorkerLoop(WorkerOptions(**{"drain": True, "concurrency": 100, "poll_interval": 0.1, **options}))
        loop.run()
        return loop

    return run


@pytest.fixture
def registrations_of_this_test_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Definitions and handlers that a test registers are gone after it."""
    monkeypatch.setattr(registry, "_definitions", registry.all_definitions())
    monkeypatch.setattr(handlers, "_functions", dict(handlers._functions))
    monkeypatch.setattr(handlers, "_rules", {event: list(known) for event, known in handlers._rules.items()})


@pytest.fixture(params=["process", pytest.param("docker", marks=pytest.mark.docker)])
def engine_host(request: pytest.FixtureRequest, transactional_db: None) -> Iterator[None]:
    """The host of each engine in turn, for all queues of the tests; nothing is left on it."""
    if request.param == "process":
        request.getfixturevalue("process_host")
        yield
        return
    with DOCKER.host(queues=["default", "media"]):
        yield
        wait_until(lambda: not DOCKER.containers())
