"""Workers in the admin: who beats, on which hosts, with which jobs in hand."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from container_manager.models import ContainerJob, ExecutorHost, JobAttempt, Worker

WORKERS = "/admin/container_manager/worker/"
QUERIES = 12
pytestmark = pytest.mark.django_db


def make_worker(jobs: int = 0, *, silent_for: timedelta = timedelta(), **values: Any) -> Worker:
    host, _ = ExecutorHost.objects.get_or_create(name="blade", defaults={"executor_type": "fake"})
    now = timezone.now() - silent_for
    fields = {"node": "n1", "process_id": os.getpid(), "hosts": [host.pk], "concurrency": 20, **values}
    worker = Worker.objects.create(started_at=now, heartbeat_at=now, **fields)
    for number in range(jobs):
        job = ContainerJob.objects.create(
            command="true", name=f"job-{number}", status="running", attempt=1, worker=worker.pk
        )
        JobAttempt.objects.create(
            job=job, active_job=job, number=1, host=host, worker=worker.pk, launched_at=timezone.now()
        )
    return worker


def test_each_worker_is_shown_with_its_hosts_and_the_jobs_it_has(boss: Client) -> None:
    worker = make_worker(7)
    silent = make_worker(silent_for=timedelta(hours=1))
    page = boss.get(WORKERS)
    first, last = page.context["workers"]
    assert (first.state.worker.pk, first.state.is_alive, len(first.jobs), first.has_more) == (worker.pk, True, 5, True)
    assert (last.state.worker.pk, last.state.is_alive, last.jobs) == (silent.pk, False, [])
    text = page.content.decode()
    for expected in ("blade", "7/20", "Stopped beating", f"?worker={worker.pk}"):
        assert expected in text


def test_jobs_are_named_to_those_who_may_see_jobs(client_of: Callable[..., Client]) -> None:
    make_worker(1)
    assert "job-0" in client_of("view_worker", "view_containerjob").get(WORKERS).content.decode()
    assert "job-0" not in client_of("view_worker").get(WORKERS).content.decode()
    assert client_of("view_containerjob").get(WORKERS).status_code == 403


def test_a_page_costs_the_same_queries_for_many_workers(boss: Client) -> None:
    for number in range(5):
        make_worker(3, node=f"n{number}")
    with CaptureQueriesContext(connection) as queries:
        boss.get(WORKERS)
    assert len(queries) <= QUERIES, [query["sql"] for query in queries]
