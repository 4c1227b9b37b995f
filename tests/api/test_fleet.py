"""Hosts, workers, the numbers and the health by REST."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from container_manager import queue_manager
from container_manager.executors.fake import FakeEngine
from container_manager.models import ContainerJob, ExecutorHost, Worker
from tests.api.conftest import Api
from tests.api.test_jobs import problem

pytestmark = pytest.mark.django_db


def test_a_host_is_drained_and_resumed(api: Api, host: ExecutorHost) -> None:
    assert [row["name"] for row in api.get("/hosts/").json()["results"]] == ["fake"]
    assert api.post("/hosts/fake/drain/").json()["is_active"] is False
    assert api.get("/hosts/?is_active=true").json()["results"] == []
    assert api.post("/hosts/fake/resume/").json()["is_active"] is True
    host.refresh_from_db()
    assert host.is_active
    problem(api.post("/hosts/other/drain/"), 404, "not-found")
    problem(api.get("/hosts/?kind=x&is_active=perhaps&executor_type=%00"), 400, "bad-query")


def test_a_host_shows_how_busy_it_is_and_keeps_its_options_to_itself(api: Api, host: ExecutorHost) -> None:
    queue_manager.launch_job(queue_manager.create_and_queue(command="true"))
    shown = api.get("/hosts/fake/").json()
    assert shown["active_jobs"] == 1
    assert "options" not in shown


@pytest.mark.usefixtures("host")
def test_an_engine_is_asked_whether_it_is_well(api: Api, fake_engine: FakeEngine) -> None:
    answer = api.post("/hosts/fake/check/").json()
    assert (answer["is_healthy"], answer["error"]) == (True, "")
    fake_engine.is_reachable = False
    answer = api.post("/hosts/fake/check/").json()
    assert answer["is_healthy"] is False
    assert answer["error"]


def test_a_host_of_another_node_is_not_asked(api: Api, host: ExecutorHost) -> None:
    ExecutorHost.objects.filter(pk=host.pk).update(node="elsewhere")
    problem(api.post("/hosts/fake/check/"), 409, "refused")


def test_workers_tell_whether_they_live(api: Api, host: ExecutorHost) -> None:
    now = timezone.now()
    common = {"node": "n", "process_id": 1, "started_at": now, "hosts": [host.pk]}
    alive = Worker.objects.create(heartbeat_at=now, **common)
    Worker.objects.create(heartbeat_at=now - timedelta(days=1), **common)
    rows = api.get("/workers/?kind=worker").json()["results"]
    assert [(row["id"] == str(alive.pk), row["is_alive"], row["hosts"]) for row in rows] == [
        (False, False, ["fake"]), (True, True, ["fake"]),
    ]  # fmt: skip


def test_the_numbers_are_those_of_the_queue(api: Api) -> None:
    queue_manager.queue_job(ContainerJob.objects.create(command="true"))
    assert api.get("/stats/").json() == queue_manager.get_queue_stats()


def test_health_is_open_to_probes() -> None:
    assert Api().get("/health/live").json() == {"status": "ok"}
    assert Api().get("/health/ready").json() == {"status": "ok"}
