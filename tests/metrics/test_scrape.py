"""``/metrics`` as Prometheus meets it: who may read it, and what it says."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from threading import Event
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics import parser as openmetrics
from uuid_utils.compat import uuid7

from container_manager import queue_manager
from container_manager.exceptions import ExecutorUnavailableError
from container_manager.executors.fake import Script
from container_manager.metrics import views
from container_manager.metrics.collector import QueueCollector
from container_manager.models import ContainerJob, ExecutorHost, Worker
from container_manager.services import executor_for
from container_manager.states import Hold
from container_manager.worker.calls import Calls
from container_manager.worker.health import HostMonitor
from tests.metrics.conftest import Samples, sample

pytestmark = pytest.mark.django_db(transaction=True)

URL = "/queue/metrics"
FORBIDDEN_LABELS = {"job", "job_id", "id", "worker", "attempt"}


def test_it_is_closed_until_somebody_opens_it(client: Client) -> None:
    answer = client.get(URL)
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"].startswith("Bearer")
    assert client.get(URL, headers={"Authorization": "Bearer "}).status_code == 401


def test_the_token_of_the_settings_opens_it_and_no_other(settings: Any, client: Client) -> None:
    settings.CONTAINER_MANAGER = {**settings.CONTAINER_MANAGER, "METRICS_TOKEN": "let me in"}
    assert client.get(URL, headers={"Authorization": "Bearer let me in"}).status_code == 200
    assert client.get(URL, headers={"Authorization": "bearer let me in"}).status_code == 200
    assert client.get(URL, headers={"Authorization": "Bearer let me out"}).status_code == 403
    assert client.get(URL, headers={"Authorization": "Basic let me in"}).status_code == 403
    assert client.post(URL, headers={"Authorization": "Bearer let me in"}).status_code == 405


def test_users_who_may_view_jobs_may_read_it(client: Client) -> None:
    user = User.objects.create_user("ada")
    client.force_login(user)
    assert client.get(URL).status_code == 403
    user.user_permissions.add(Permission.objects.get(codename="view_containerjob"))
    answer = client.get(URL)
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]


def test_jobs_are_counted_by_queue_state_and_hold_and_history_is_not(
    host: ExecutorHost, drain: Callable[..., None], scrape: Callable[[], Samples]
) -> None:
    for _ in range(2):
        queue_manager.create_and_queue(command=Script().command())
    drain()
    queue_manager.create_and_queue(command="x", queue="gpu")
    queue_manager.create_and_queue(command="x", queue="gpu", schedule_for=timezone.now() + timedelta(hours=1))
    ContainerJob.objects.create(command="x")
    samples = scrape()
    assert sample(samples, "cm_jobs", queue="gpu", state="queued", hold="") == 1
    assert sample(samples, "cm_jobs", queue="gpu", state="queued", hold=Hold.SCHEDULE.value) == 1
    assert sample(samples, "cm_jobs", queue="default", state="queued", hold="") == 0, "an empty queue is 0, not absent"
    states = {dict(labels)["state"] for name, labels in samples if name == "cm_jobs"}
    assert states == {"queued", "launching", "running"}
    assert sample(samples, "cm_jobs_finished_total", queue="default", status="completed") == 2
    assert sample(samples, "cm_outcomes_total", queue="default", outcome="ok") == 2
    assert sample(samples, "cm_job_wait_seconds_count", queue="default") == 2
    assert sample(samples, "cm_job_run_seconds_bucket", queue="default", le="+Inf") == 2
    assert sample(samples, "cm_job_run_seconds_bucket", queue="default", le="30000.0") == 2
    assert sample(samples, "cm_job_run_seconds_sum", queue="default") >= 0


def test_the_oldest_wait_begins_when_a_job_could_run(host: ExecutorHost, scrape: Callable[[], Samples]) -> None:
    now = timezone.now()
    ContainerJob.objects.create(command="x", queued_at=now - timedelta(seconds=100))
    ContainerJob.objects.create(
        command="x", queue="late", queued_at=now - timedelta(days=2), scheduled_for=now - timedelta(seconds=50)
    )
    samples = scrape()
    assert sample(samples, "cm_queue_oldest_wait_seconds", queue="default") == pytest.approx(100, abs=20)
    assert sample(samples, "cm_queue_oldest_wait_seconds", queue="late") == pytest.approx(50, abs=20)


def test_workers_and_hosts_are_seen(
    host: ExecutorHost, drain: Callable[..., None], scrape: Callable[[], Samples]
) -> None:
    drain()
    now = timezone.now()
    for age, concurrency in ((5, 7), (4_000, 9)):
        Worker.objects.create(
            id=uuid7(), node="box", process_id=1, concurrency=concurrency, started_at=now,
            heartbeat_at=now - timedelta(seconds=age),
        )  # fmt: skip
    ExecutorHost.objects.filter(pk=host.pk).update(health_error="away", failures=4, error_count=9, is_active=False)
    samples = scrape()
    assert sample(samples, "cm_workers", node="box", state="alive") == 1
    assert sample(samples, "cm_workers", node="box", state="dead") == 1
    assert sample(samples, "cm_worker_slots", node="box") == 7
    assert sample(samples, "cm_worker_heartbeat_age_seconds", node="box") == pytest.approx(4_000, abs=20)
    assert sample(samples, "cm_host_up", host="fake") == 0
    assert sample(samples, "cm_host_failures", host="fake") == 4
    assert sample(samples, "cm_executor_errors_total", host="fake") == 9
    assert sample(samples, "cm_host_active", host="fake") == 0
    assert sample(samples, "cm_host_slots", host="fake") == 100
    assert 0 <= sample(samples, "cm_host_reached_age_seconds", host="fake") < 60


def test_an_engine_that_is_away_is_counted_and_its_return_is_no_reason_to_forget(host: ExecutorHost) -> None:
    answered = Event()
    calls = Calls("test", 1, answered)
    monitor = HostMonitor(host, executor_for(host, "abc12345"), calls, "default")
    monitor.note(ExecutorUnavailableError("away"))
    host.refresh_from_db()
    assert (host.failures, host.error_count) == (1, 1)
    monitor._next_check = 0.0
    monitor.tick()
    assert answered.wait(60)
    calls.deliver()
    host.refresh_from_db()
    assert (host.failures, host.error_count) == (0, 1)
    calls.close()


def test_no_label_is_an_id(host: ExecutorHost, drain: Callable[..., None], scrape: Callable[[], Samples]) -> None:
    queue_manager.create_and_queue(command=Script().command())
    drain()
    assert {name for _, labels in scrape() for name, _ in labels}.isdisjoint(FORBIDDEN_LABELS)


def test_it_speaks_openmetrics_to_those_who_ask(host: ExecutorHost, settings: Any, client: Client) -> None:
    settings.CONTAINER_MANAGER = {**settings.CONTAINER_MANAGER, "METRICS_TOKEN": "t"}
    queue_manager.create_and_queue(command="x")
    accept = "application/openmetrics-text; version=1.0.0"
    answer = client.get(URL, headers={"Authorization": "Bearer t", "Accept": accept})
    assert answer["Content-Type"].startswith("application/openmetrics-text")
    families = openmetrics.text_string_to_metric_families(answer.content.decode())  # type: ignore[no-untyped-call]
    assert "cm_jobs" in {family.name for family in families}


def test_a_scrape_costs_the_same_however_much_has_ended(host: ExecutorHost) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            list(QueueCollector().collect())
        return len(captured)

    before = queries()
    ContainerJob.objects.bulk_create(ContainerJob(command="x", status="completed") for _ in range(200))
    assert queries() == before <= 11


def test_registering_it_asks_no_database(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        CollectorRegistry(auto_describe=True).register(QueueCollector())


def test_without_the_database_it_says_so(settings: Any, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.CONTAINER_MANAGER = {**settings.CONTAINER_MANAGER, "METRICS_TOKEN": "t"}

    class Broken(QueueCollector):
        def collect(self) -> Any:
            raise OperationalError("away")

    monkeypatch.setattr(views, "QueueCollector", Broken)
    assert client.get(URL, headers={"Authorization": "Bearer t"}).status_code == 503
