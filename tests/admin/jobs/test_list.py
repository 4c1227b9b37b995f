"""The job list: tabs, filters and pages, all in the address."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from container_manager import queue_manager
from container_manager.admin.jobs import paging, tabs
from container_manager.models import ContainerJob, ExecutorHost, JobAttempt
from container_manager.states import Status

pytestmark = pytest.mark.django_db

LIST = "/admin/container_manager/containerjob/"
QUERIES = 20


def names(response: Any) -> list[str]:
    return [row.title for row in response.context["listing"].rows]


def counts(response: Any) -> dict[str, str]:
    return {tab.status: tab.text for tab in response.context["listing"].tabs}


def links(response: Any, identifier: str) -> list[str]:
    found = re.findall(rf'href="([^"]*)" id="{identifier}"', response.content.decode())
    return [address.replace("&amp;", "&") for address in found]


def test_tabs_count_what_the_other_filters_leave(boss: Client) -> None:
    for status, queue in (("failed", "a"), ("failed", "b"), ("completed", "a"), ("pending", "a")):
        ContainerJob.objects.create(command="true", status=status, queue=queue)
    assert counts(boss.get(LIST))["failed"] == "2"
    shown = boss.get(LIST, {"queue": "a", "status": "failed"})
    assert counts(shown) == {
        "": "3", "pending": "1", "queued": "0", "launching": "0", "running": "0", "completed": "1", "failed": "1",
        "cancelled": "0",
    }  # fmt: skip
    assert len(shown.context["listing"].rows) == 1
    (address,) = links(shown, "cm-tab-completed")
    assert "queue=a" in address
    assert "status=completed" in address


def test_counts_stop_at_the_cap(boss: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tabs, "COUNTED", 3)
    ContainerJob.objects.bulk_create([ContainerJob(command="true") for _ in range(5)])
    assert counts(boss.get(LIST))["pending"] == "3+"


def test_only_the_newest_are_looked_at_where_no_index_helps(boss: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tabs, "WINDOW", 2)
    for name in ("old", "middle", "new"):
        ContainerJob.objects.create(command="train", name=name)
    shown = boss.get(LIST, {"search": "train"})
    assert names(shown) == ["new", "middle"]
    assert b"newest 50,000" in shown.content
    assert names(boss.get(LIST, {"search": "train", "everything": "1"})) == ["new", "middle", "old"]
    assert names(boss.get(LIST)) == ["new", "middle", "old"]


@pytest.mark.parametrize("status", ["", "failed"])
def test_what_else_is_asked_of_a_period_is_looked_up_in_the_newest_of_it(
    boss: Client, monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    monkeypatch.setattr(tabs, "WINDOW_OF_PERIOD", 2)
    now = timezone.now()
    for number in range(4):
        ended = now - timedelta(hours=number)
        ContainerJob.objects.create(
            command="true", name=str(number), status="failed", error="no space", finished_at=ended
        )
    asked = {"error": "no space", "finished_after": (now - timedelta(days=1)).isoformat(), "status": status}
    shown = boss.get(LIST, asked)
    assert sorted(names(shown)) == ["0", "1"]
    assert counts(shown)["failed"] == "2"
    assert b"newest 20,000 of each state" in shown.content
    everything = boss.get(LIST, {**asked, "everything": "1"})
    assert sorted(names(everything)) == ["0", "1", "2", "3"]
    past = {**asked, "finished_before": (now - timedelta(hours=1, minutes=30)).isoformat()}
    assert sorted(names(boss.get(LIST, past))) == ["2", "3"]
    question = boss.post(f"{LIST}bulk/?{urlencode(asked)}", {"action": "retry", "scope": "matching"})
    assert question.context["count"] == 2


def test_a_wrong_filter_shows_nothing_and_says_what_is_wrong(boss: Client) -> None:
    ContainerJob.objects.create(command="true")
    shown = boss.get(LIST, {"exit_code": "many", "created_after": "yesterday"})
    assert shown.status_code == 200
    assert names(shown) == []
    assert b"&#x27;many&#x27; is not a whole number" in shown.content
    assert b"yesterday" in shown.content


@pytest.mark.parametrize("status", ["", "queued", "failed"])
def test_paging_visits_each_job_once_there_and_back(boss: Client, monkeypatch: pytest.MonkeyPatch, status: str) -> None:
    monkeypatch.setattr(paging, "SIZE", 3)
    now = timezone.now()
    for number in range(8):
        # Some ended at the same moment.
        ended = now - timedelta(minutes=number // 3) if status == "failed" else None
        ContainerJob.objects.create(command="true", name=str(number), status=status or "pending", finished_at=ended)
    address: str | None = f"?status={status}" if status else ""
    seen: list[str] = []
    pages = [address]
    while address is not None:
        shown = boss.get(LIST + address)
        seen += names(shown)
        address = next(iter(links(shown, "cm-older")), None)
        pages.append(address)
    assert sorted(seen) == [str(number) for number in range(8)]
    assert not links(boss.get(LIST), "cm-newer")
    back = names(shown)
    while found := links(shown, "cm-newer"):
        shown = boss.get(LIST + found[0])
        back = names(shown) + back
    assert sorted(set(back)) == sorted(seen)
    assert back[: len(seen)][:3] == seen[:3]


SOME_ID = "00000000-0000-7000-8000-000000000000"


@pytest.mark.parametrize("key", ["none", "@", "1@2", SOME_ID, f"{SOME_ID}@2026-13-45", f"{SOME_ID}@2026-01-01T00:00"])
def test_a_key_that_is_none_is_the_first_page(boss: Client, key: str) -> None:
    ContainerJob.objects.create(command="true", name="a", status="failed")
    assert names(boss.get(LIST, {"status": "failed", "before": key})) == ["a"]


def test_a_page_costs_the_same_queries_for_many_jobs(boss: Client) -> None:
    host = ExecutorHost.objects.create(name="blade", executor_type="fake")
    for wanted in (1, 30):
        jobs = [ContainerJob.objects.create(command="true", status="completed", attempt=1) for _ in range(wanted)]
        JobAttempt.objects.bulk_create(
            JobAttempt(job=job, number=1, host=host, launched_at=timezone.now()) for job in jobs
        )
        with CaptureQueriesContext(connection) as queries:
            shown = boss.get(LIST)
        assert len(queries) <= QUERIES, [query["sql"] for query in queries]
    assert {row.host for row in shown.context["listing"].rows} == {"blade"}


def test_a_running_job_shows_how_far_it_is(boss: Client) -> None:
    ContainerJob.objects.create(command="true", status="running", progress=40, progress_text="<b>Resizing</b>")
    ContainerJob.objects.create(command="true", status="completed", progress=70)
    text = boss.get(LIST).content.decode()
    assert "40 %" in text
    assert "&lt;b&gt;Resizing" in text
    assert "70 %" not in text


def test_a_refresh_is_the_list_alone(boss: Client) -> None:
    ContainerJob.objects.create(command="true", name="a")
    part = boss.get(LIST, headers={"HX-Request": "true"})
    assert names(part) == ["a"]
    assert b"<html" not in part.content
    assert "no-cache" in part["Cache-Control"]


def test_hostile_names_are_escaped(boss: Client) -> None:
    ContainerJob.objects.create(command="<script>alert(1)</script>", name="<img src=x onerror=alert(1)>")
    shown = boss.get(LIST, {"search": "<img"}).content
    assert b"<img src=x" not in shown
    assert b"<script>alert" not in shown


def test_it_takes_the_permission_and_shows_the_actions_one_may_do(client_of: Callable[..., Client]) -> None:
    queue_manager.create_and_queue(command="true")
    assert client_of("view_executorhost").get(LIST).status_code == 403
    assert client_of("view_containerjob").get(LIST).context["listing"].actions == []
    shown = client_of("view_containerjob", "cancel_containerjob").get(LIST)
    assert [value for value, _ in shown.context["listing"].actions] == ["cancel"]
    assert Status.QUEUED in counts(shown)
