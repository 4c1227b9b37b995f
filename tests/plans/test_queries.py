"""The queue's own queries at a deep backlog."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.urls import reverse
from uuid_utils.compat import uuid7

from container_manager import claiming, due, queue_manager
from container_manager.admin.jobs.paging import Key
from container_manager.admin.jobs.tabs import COUNTED
from container_manager.models import ContainerJob, ExecutorHost
from container_manager.states import Status
from container_manager.worker.agenda import AgendaReader
from tests.plans.backlog import DEEP, SEEDS
from tests.plans.explaining import assert_proportional, explained, using

pytestmark = [pytest.mark.django_db, pytest.mark.slow, pytest.mark.xdist_group("plans")]

BATCH = 50


def test_the_backlog_is_deep(deep_host: ExecutorHost) -> None:
    assert ContainerJob.objects.count() >= 100_000


def test_a_full_scan_would_be_noticed(deep_host: ExecutorHost) -> None:
    with explained() as plans:
        list(ContainerJob.objects.filter(name="nobody"))
    with pytest.raises(AssertionError):
        assert_proportional(plans, BATCH)


def test_a_claim_reads_what_it_takes(deep_host: ExecutorHost) -> None:
    with explained() as plans:
        claims = claiming.claim(deep_host, uuid7(), queue="default", limit=BATCH, using="default")
    assert len(claims) == BATCH
    assert len(plans) <= 5, "the attempts of the host, the ready jobs, and the move"
    assert using(plans, "cm_job_ready") >= 1
    assert connection.vendor == "sqlite" or max(plan.rows_read for plan in plans) >= BATCH, "they are counted"
    assert_proportional(plans, BATCH)


def test_the_best_queue_is_found_by_their_heads(deep_host: ExecutorHost) -> None:
    with explained() as plans:
        assert sorted(claiming.queue_heads("default", ["default", "other", "none"])) == ["default", "other"]
    assert using(plans, "cm_job_ready") == len(plans)
    assert_proportional(plans, 1)


def test_a_workers_look_reads_the_heads(deep_host: ExecutorHost) -> None:
    with explained() as plans:
        agenda = AgendaReader("default").read(["default", "other", "none"], [deep_host.pk])
    assert agenda.ready == {"default", "other"}
    assert agenda.is_promotion_due
    assert agenda.is_expiry_due
    assert len(plans) == 1
    assert using(plans, "cm_job_ready") == using(plans, "cm_job_due") == using(plans, "cm_job_expires") == 1
    assert_proportional(plans, 1)


def test_a_promotion_reads_what_is_due(deep_host: ExecutorHost) -> None:
    with explained() as plans:
        assert due.promote("default", limit=BATCH) == BATCH
    assert using(plans, "cm_job_due") >= 1
    assert_proportional(plans, BATCH)


def test_an_expiry_reads_what_is_overdue(deep_host: ExecutorHost) -> None:
    with explained() as plans:
        assert due.expire("default", limit=BATCH) == BATCH
    assert using(plans, "cm_job_expires") >= 1
    assert_proportional(plans, BATCH)


def test_the_statistics_read_the_queued_jobs_a_few_times(deep_host: ExecutorHost) -> None:
    queued = ContainerJob.objects.filter(status=Status.QUEUED).count()
    with explained() as plans:
        assert queue_manager.get_queue_stats()["scheduled"] == SEEDS << DEEP
    assert sum(plan.rows_read for plan in plans) <= 4 * queued


def test_a_page_of_ready_jobs_is_one_pass(deep_host: ExecutorHost) -> None:
    with explained() as plans:
        assert len(queue_manager.get_ready_jobs(limit=BATCH)) == BATCH
    assert sum(plan.rows_read for plan in plans) <= ContainerJob.objects.count()


@pytest.mark.parametrize("status", ["", *Status])
def test_a_page_of_the_admins_list_reads_a_page(deep_host: ExecutorHost, client: Client, status: str) -> None:
    client.force_login(User.objects.create_superuser("boss"))
    query = f"?status={status}" if status else "?"
    address = reverse("admin:container_manager_containerjob_changelist") + query
    first = client.get(address)
    jobs = ContainerJob.objects.filter(status=status) if status else ContainerJob.objects.all()
    middle = jobs.order_by("-id")[500:501].first()
    key = Key(middle.pk, middle.finished_at if status else None) if middle else ""
    with explained() as plans:
        assert client.get(address).status_code == first.status_code == 200
        assert client.get(f"{address}&before={key}").status_code == 200
    # A tab counts so far only, and may find them by a scan from the start.
    assert_proportional(plans, 4 * COUNTED)
