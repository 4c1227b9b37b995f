"""Calls of handlers in the admin: what failed and why, tried again or given up by those who may."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from container_manager.admin import paging
from container_manager.models import ContainerJob, HandlerCall

CALLS = "/admin/container_manager/handlercall/"
QUERIES = 12
pytestmark = pytest.mark.django_db
State = HandlerCall.State


def make_call(state: str = State.FAILED, **values: Any) -> HandlerCall:
    now = timezone.now()
    moments = {"next_try_at": now + timedelta(hours=1)} if state == State.WAITING else {"finished_at": now}
    error = "" if state == State.DELIVERED else "Traceback ...\nConnectionError: billing.example does not answer\n"
    fields = {"handler": "webhook:billing", "event": "completed", "tries": 3, "last_error": error, **moments, **values}
    return HandlerCall.objects.create(state=state, **fields)


def shown(response: Any) -> list[int]:
    return [shown.call.pk for shown in response.context["listing"].calls]


def act(client: Client, **fields: str) -> Any:
    return client.post(f"{CALLS}act/?state=failed", fields, follow=True)


def test_what_failed_comes_first_with_its_error_and_its_job(boss: Client) -> None:
    job = ContainerJob.objects.create(command="true", name="<b>invoice</b>")
    failed, waiting = make_call(job=job), make_call(State.WAITING, subject="default")
    page = boss.get(CALLS)
    assert shown(page) == [failed.pk]
    text = page.content.decode()
    assert "ConnectionError: billing.example does not answer" in text
    assert "&lt;b&gt;invoice&lt;/b&gt;" in text
    assert "3 of 12" in text
    assert {tab.state: tab.text for tab in page.context["listing"].tabs} == {
        "failed": "1", "waiting": "1", "delivered": "0"
    }  # fmt: skip
    assert shown(boss.get(CALLS, {"state": "waiting"})) == [waiting.pk]


def test_calls_of_one_job_are_on_its_page_and_in_a_list_of_their_own(boss: Client) -> None:
    job = ContainerJob.objects.create(command="true")
    mine = make_call(job=job)
    make_call(job=ContainerJob.objects.create(command="true"))
    page = boss.get(f"/admin/container_manager/containerjob/{job.pk}/change/?tab=handlers").content.decode()
    assert "billing.example does not answer" in page
    assert f"{CALLS}?job={job.pk}" in page
    assert shown(boss.get(CALLS, {"job": str(job.pk)})) == [mine.pk]


def test_a_failed_call_is_tried_again_with_all_its_tries_and_it_is_logged_who_said_so(boss: Client) -> None:
    call, other = make_call(), make_call()
    assert "1 call is due now" in act(boss, retry=str(call.pk)).content.decode()
    call.refresh_from_db()
    other.refresh_from_db()
    assert (call.state, call.tries, other.state) == (State.WAITING, 0, State.FAILED)
    assert call.next_try_at is not None
    assert call.next_try_at <= timezone.now() + timedelta(seconds=1)
    assert [entry.object_id for entry in LogEntry.objects.all()] == [str(call.pk)]


def test_all_that_failed_are_tried_again_at_once(boss: Client) -> None:
    for _ in range(3):
        make_call()
    done = make_call(State.DELIVERED)
    assert "3 calls are due now" in act(boss, retry="failed").content.decode()
    assert set(HandlerCall.objects.filter(state=State.WAITING).values_list("tries", flat=True)) == {0}
    done.refresh_from_db()
    assert done.state == State.DELIVERED


def test_a_waiting_call_is_hastened_or_given_up_but_not_while_it_is_told(boss: Client) -> None:
    waiting = make_call(State.WAITING)
    act(boss, retry=str(waiting.pk))
    waiting.refresh_from_db()
    assert waiting.tries == 3
    assert waiting.next_try_at is not None
    assert waiting.next_try_at <= timezone.now() + timedelta(seconds=1)
    act(boss, give_up=str(waiting.pk))
    assert HandlerCall.objects.filter(pk=waiting.pk, state=State.FAILED, next_try_at=None).exists()
    told = make_call(State.WAITING, worker="00000000-0000-7000-8000-000000000000")
    for fields in ({"give_up": str(told.pk)}, {"retry": str(told.pk)}):
        assert "being told now" in act(boss, **fields).content.decode()
    told.refresh_from_db()
    assert told.state == State.WAITING


@pytest.mark.parametrize("value", ["x", "-1", "9" * 40, "²"])
def test_an_id_that_is_none_changes_nothing(boss: Client, value: str) -> None:
    call = make_call()
    assert act(boss, retry=value).status_code == 200
    call.refresh_from_db()
    assert call.state == State.FAILED


def test_who_may_only_look_gets_403_and_no_button(client_of: Callable[..., Client]) -> None:
    call = make_call()
    client = client_of("view_handlercall")
    assert b"cm-retry" not in client.get(CALLS).content
    assert act(client, retry=str(call.pk)).status_code == 403
    assert client_of("view_containerjob").get(CALLS).status_code == 403
    call.refresh_from_db()
    assert call.state == State.FAILED


def hide_secret(jobs: Any, user: object) -> Any:
    return jobs.exclude(name="secret")


def test_calls_about_jobs_that_one_may_not_see_are_not_there(boss: Client, settings: Any) -> None:
    settings.CONTAINER_MANAGER = {**settings.CONTAINER_MANAGER, "VISIBLE_JOBS": f"{__name__}.hide_secret"}
    hidden = make_call(job=ContainerJob.objects.create(command="true", name="secret"))
    seen = [make_call(subject="default"), make_call(job=ContainerJob.objects.create(command="true"))]
    assert set(shown(boss.get(CALLS))) == {call.pk for call in seen}
    act(boss, retry="failed")
    hidden.refresh_from_db()
    assert hidden.state == State.FAILED


def test_calls_given_up_need_attention_on_the_dashboard(boss: Client, client_of: Callable[..., Client]) -> None:
    for _ in range(2):
        make_call()
    part = "/admin/container_manager/minuterollup/attention/"
    text = boss.get(part).content.decode()
    assert "2 calls of webhook:billing were given up" in text
    assert "ConnectionError: billing.example does not answer" in text
    assert "webhook:billing" not in client_of("view_containerjob").get(part).content.decode()


def test_pages_and_queries_are_bounded(boss: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "SIZE", 10)
    calls = [make_call(job=ContainerJob.objects.create(command="true")).pk for _ in range(25)]
    seen = []
    for number in ("1", "2", "3"):
        with CaptureQueriesContext(connection) as queries:
            seen += shown(boss.get(CALLS, {"state": "failed", "page": number}))
        assert len(queries) <= QUERIES, [query["sql"] for query in queries]
    assert sorted(seen) == calls
