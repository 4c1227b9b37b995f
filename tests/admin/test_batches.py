"""Batches in the admin: how far each is, and what it costs to know."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from container_manager.admin import batches, paging
from container_manager.models import ContainerJob, JobBatch

BATCHES = "/admin/container_manager/jobbatch/"
QUERIES = 8
pytestmark = pytest.mark.django_db


def make_batch(name: str = "night", **statuses: int) -> JobBatch:
    batch = JobBatch.objects.create(name=name, total=sum(statuses.values()))
    for status, count in statuses.items():
        for _ in range(count):
            ContainerJob.objects.create(command="true", status=status, batch=batch)
    return batch


def shown(client: Client, **query: str) -> Any:
    return client.get(BATCHES, query).context["batches"]


def test_open_batches_are_counted_and_completed_ones_keep_what_they_were(boss: Client) -> None:
    make_batch(completed=2, failed=1, queued=3)
    JobBatch.objects.create(
        name="<b>done</b>", total=9, completed_at=timezone.now(), completed=5, failed=3, cancelled=1
    )
    done, night = shown(boss)
    assert (done.completed, done.failed, done.cancelled, done.ended.used) == (5, 3, 1, 9)
    assert (night.completed, night.failed, night.cancelled, night.ended.used) == (2, 1, 0, 3)
    assert (done.tone, night.tone) == ("bad", "running")
    text = boss.get(BATCHES).content.decode()
    assert "&lt;b&gt;done&lt;/b&gt;" in text
    assert f"?batch={night.batch.pk}&amp;status=failed" in text


def test_a_batch_that_has_just_begun_has_nothing_that_ended(boss: Client) -> None:
    JobBatch.objects.create(name="empty", total=0)
    assert shown(boss)[0].ended.used == 0


def test_very_large_open_batches_are_not_counted(boss: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "COUNTABLE", 2)
    make_batch("large", queued=3)
    make_batch("small", queued=2)
    small, large = shown(boss)
    assert small.ended is not None
    assert large.ended is None


def test_pages_and_queries_are_bounded(boss: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "SIZE", 4)
    for number in range(6):
        make_batch(str(number), queued=1)
    with CaptureQueriesContext(connection) as queries:
        names = [each.batch.name for number in ("1", "2") for each in shown(boss, page=number)]
    assert names == ["5", "4", "3", "2", "1", "0"]
    assert len(queries) <= 2 * QUERIES, [query["sql"] for query in queries]


def hide_secret(jobs: Any, user: object) -> Any:
    return jobs.exclude(name="secret")


def test_it_takes_the_permission_and_hides_batches_of_jobs_that_one_may_not_see(
    boss: Client, client_of: Callable[..., Client], settings: Any
) -> None:
    assert client_of("view_containerjob").get(BATCHES).status_code == 403
    make_batch("seen", queued=1)
    hidden = make_batch("hidden", queued=1)
    ContainerJob.objects.filter(batch=hidden).update(name="secret")
    assert len(shown(client_of("view_jobbatch"))) == 2
    settings.CONTAINER_MANAGER = {**settings.CONTAINER_MANAGER, "VISIBLE_JOBS": f"{__name__}.hide_secret"}
    assert [each.batch.name for each in shown(boss)] == ["seen"]
