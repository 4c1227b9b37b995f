"""Bulk actions: asked first, then done to exactly what was confirmed, by those who may."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from container_manager import queue_manager
from container_manager.admin.jobs import bulk_page
from container_manager.bulk import Action
from container_manager.models import ContainerJob, JobEvent
from container_manager.states import Status

pytestmark = pytest.mark.django_db

BULK = "/admin/container_manager/containerjob/bulk/"


def failed(count: int, **fields: Any) -> list[ContainerJob]:
    return [ContainerJob.objects.create(**{"command": "true", "status": "failed", **fields}) for _ in range(count)]


def status_count(status: str) -> int:
    return ContainerJob.objects.filter(status=status).count()


def messages(response: Any) -> str:
    return " | ".join(str(message) for message in response.context["messages"])


def test_all_that_match_are_retried_after_the_question(boss: Client) -> None:
    failed(12, error="disk full")
    failed(1, error="other")
    address = f"{BULK}?status=failed&error=disk+full"
    question = boss.post(address, {"action": "retry", "scope": "matching"})
    assert question.context["count"] == 12
    assert len(question.context["sample"]) == 10
    assert status_count("failed") == 13
    failed(1, error="disk full")  # came after the question
    kept = dict(question.context["kept"])
    done = boss.post(address, {**kept, "until": str(question.context["until"]), "confirmed": "1"}, follow=True)
    assert status_count("queued") == 12
    assert "Retry: 12 jobs done." in messages(done)
    assert done.redirect_chain == [("/admin/container_manager/containerjob/?status=failed&error=disk+full", 302)]
    assert JobEvent.objects.filter(actor="boss", verb="queue").count() == 12


def test_ticked_ones_that_do_not_allow_it_are_skipped_with_the_reason(boss: Client) -> None:
    (job,) = failed(1)
    ended = ContainerJob.objects.create(command="true", status="completed")
    ContainerJob.objects.create(command="true", status="failed")
    values = {"action": "retry", "scope": "ticked", "jobs": [str(job.pk), str(ended.pk)]}
    question = boss.post(BULK, values)
    assert question.context["unfit"] == 1
    done = boss.post(BULK, {**values, "confirmed": "1"}, follow=True)
    assert status_count("queued") == 1
    assert "1 job done." in messages(done)
    assert "1 job was skipped: The job is completed; only a failed job is retried." in messages(done)


@pytest.mark.parametrize("action", list(Action))
def test_each_action_takes_its_own_permission(client_of: Callable[..., Client], action: Action) -> None:
    job = queue_manager.create_and_queue(command="true")
    every = {"launch", "retry", "cancel", "change", "delete", "view_logs", "add"}
    needed = action.permission.partition(".")[2].partition("_")[0]
    others = client_of("view_containerjob", *(f"{name}_containerjob" for name in sorted(every - {needed})))
    for extra in ({}, {"confirmed": "1"}, {"single": "1"}):
        values = {"action": action.value, "jobs": str(job.pk), "priority": "9", **extra}
        assert others.post(BULK, values).status_code == 403
    job.refresh_from_db()
    assert (job.status, job.priority) == (Status.QUEUED, 50)
    allowed = client_of("view_containerjob", f"{needed}_containerjob")
    answer = allowed.post(BULK, {"action": action.value, "jobs": str(job.pk), "priority": "9", "confirmed": "1"})
    assert answer.status_code == 302


def test_without_permission_to_view_nothing_is_done(client_of: Callable[..., Client]) -> None:
    (job,) = failed(1)
    values = {"action": "retry", "jobs": str(job.pk), "confirmed": "1"}
    assert client_of("retry_containerjob").post(BULK, values).status_code == 403
    assert status_count("failed") == 1


def test_one_job_is_queued_at_once_and_cancelled_only_when_asked(boss: Client) -> None:
    job = ContainerJob.objects.create(command="true")
    page = f"/admin/container_manager/containerjob/{job.pk}/change/"
    values = {"jobs": str(job.pk), "single": "1"}
    assert boss.post(BULK, {**values, "action": "queue"})["Location"] == page
    assert status_count("queued") == 1
    assert boss.post(BULK, {**values, "action": "cancel"}).status_code == 200
    assert status_count("queued") == 1
    assert boss.post(BULK, {**values, "action": "cancel", "confirmed": "1"})["Location"] == page
    assert status_count("cancelled") == 1


def test_a_priority_is_asked_for_and_judged(boss: Client) -> None:
    job = queue_manager.create_and_queue(command="true")
    values = {"action": "set_priority", "jobs": str(job.pk)}
    assert b'name="priority"' in boss.post(BULK, values).content
    for wrong in ("", "101", "-1", "high", "²"):
        boss.post(BULK, {**values, "confirmed": "1", "priority": wrong})
        job.refresh_from_db()
        assert job.priority == 50
    boss.post(BULK, {**values, "confirmed": "1", "priority": "90"})
    job.refresh_from_db()
    assert job.priority == 90


def test_who_deleted_is_kept(boss: Client) -> None:
    jobs = failed(2)
    values = {"action": "delete", "jobs": [str(job.pk) for job in jobs], "confirmed": "1"}
    boss.post(BULK, values)
    assert not ContainerJob.objects.exists()
    assert set(LogEntry.objects.values_list("object_id", "user__username")) == {(str(job.pk), "boss") for job in jobs}


def test_the_question_says_where_the_cap_is(boss: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_page, "CAP", 2)
    failed(3)
    question = boss.post(f"{BULK}?status=failed", {"action": "retry", "scope": "matching"})
    assert question.context["is_capped"]
    assert b"More than 2 match" in question.content


@pytest.mark.parametrize(
    ("address", "values", "status"),
    [
        (BULK, {"action": "retry"}, 302),
        (BULK, {"action": "explode", "scope": "matching"}, 302),
        (BULK, {"action": "retry", "jobs": "no-id", "confirmed": "1"}, 400),
        (BULK, {"action": "retry", "scope": "matching", "until": "no-id", "confirmed": "1"}, 400),
        (f"{BULK}?status=odd", {"action": "retry", "scope": "matching", "confirmed": "1"}, 400),
        (f"{BULK}?worker=me", {"action": "retry", "scope": "matching", "confirmed": "1"}, 400),
    ],
)
def test_what_is_wrong_changes_nothing(boss: Client, address: str, values: dict[str, str], status: int) -> None:
    failed(1)
    assert boss.post(address, values).status_code == status
    assert status_count("failed") == 1


def test_looking_at_the_address_changes_nothing(boss: Client) -> None:
    failed(1)
    assert boss.get(f"{BULK}?status=failed&action=retry&confirmed=1").status_code == 302
    assert status_count("failed") == 1
