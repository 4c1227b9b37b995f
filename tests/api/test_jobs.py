"""Jobs by REST, as a program uses it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from container_manager import queue_manager
from container_manager.models import ContainerJob, JobAttempt, JobEvent
from container_manager.states import Status
from tests.api.conftest import Api

pytestmark = pytest.mark.django_db


def problem(response: Any, status: int, code: str) -> dict[str, Any]:
    """The document of an answer that is a problem."""
    assert (response.status_code, response["Content-Type"]) == (status, "application/problem+json"), response.content
    document: dict[str, Any] = response.json()
    assert (document["status"], document["code"]) == (status, code)
    assert document["type"] == f"urn:container-manager:problem:{code}"
    assert document["title"]
    return document


def test_a_job_is_created_shown_queued_and_taken_out(api: Api) -> None:
    created = api.post("/jobs/", {"command": ["echo", "a b"], "labels": {"team": "video"}, "memory_limit": 64})
    assert created.status_code == 201
    job = created.json()
    assert (job["status"], job["command"], job["labels"], job["memory_limit"]) == (
        "pending", ["echo", "a b"], {"team": "video"}, 64,
    )  # fmt: skip
    assert job["waits"] == "It is not in the queue: queue it."
    shown = api.get(created["Location"].partition("/api/v1")[2])
    assert shown.json() == job
    assert "secrets" not in job

    queued = api.post(f"/jobs/{job['id']}/queue/", {"priority": 70}).json()
    assert (queued["status"], queued["is_queued"], queued["priority"]) == ("queued", True, 70)
    assert api.post(f"/jobs/{job['id']}/dequeue/").json()["status"] == "pending"
    actors = JobEvent.objects.filter(job_id=job["id"]).values_list("verb", "actor")
    assert list(actors) == [("queue", "root"), ("dequeue", "root")]


def test_a_job_is_created_in_the_queue_and_scheduled(api: Api) -> None:
    later = timezone.now() + timedelta(hours=1)
    body = {"command": "true", "is_queued": True, "scheduled_for": later.isoformat()}
    job = ContainerJob.objects.get(pk=api.post("/jobs/", body).json()["id"])
    assert (job.status, job.scheduled_for, job.hold) == (Status.QUEUED, later, "schedule")


def test_a_job_of_a_definition_is_created_from_its_parameters(api: Api) -> None:
    body = {
        "definition": "make_thumbnail",
        "parameters": {"width": 64, "height": 48},
        "priority": 80,
        "is_queued": True,
    }
    job = api.post("/jobs/", body).json()
    assert (job["definition"], job["parameters"]["height"], job["priority"]) == ("make_thumbnail", 48, 80)
    assert (job["status"], job["command"][2]) == ("queued", "64x48")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"definition": "no_such"}, "#/definition"),
        ({"definition": "make_thumbnail", "parameters": {"hight": 1}}, "#/parameters/hight"),
        ({"definition": "make_thumbnail", "parameters": {"tenant": "other"}}, "#/parameters/tenant"),
        ({"definition": "make_thumbnail", "parameters": {"height": "x"}}, "#/parameters/height"),
        ({"definition": "make_thumbnail", "command": "true"}, "#/command"),
        ({"parameters": {"height": 1}}, "#/parameters"),
        ({}, "#/command"),
        ({"command": "echo 'open"}, "#/command"),
        ({"command": "true", "labels": {"a": 1}}, "#/labels"),
        ({"command": "true", "priority": 101}, "#/priority"),
        ({"command": "true", "memory_limit": 0}, "#/memory_limit"),
        ({"command": "true", "retry_policy": "sometimes"}, "#/retry_policy"),
        ({"command": "true", "comand": "x"}, "#/comand"),
        ({"command": "true", "status": "running"}, "#/status"),
        ({"command": "true", "name": "a\0b"}, "#/name"),
        ([], "#"),
    ],
    ids=str,
)
def test_a_wrong_body_names_what_is_wrong_and_nothing_is_created(api: Api, body: Any, pointer: str) -> None:
    errors = problem(api.post("/jobs/", body), 422, "invalid")["errors"]
    assert pointer in [error["pointer"] for error in errors]
    assert all(error["detail"] for error in errors)
    assert not ContainerJob.objects.exists()


def test_a_wrong_state_is_a_conflict_that_names_the_state(api: Api, job: ContainerJob) -> None:
    assert problem(api.post(f"/jobs/{job.pk}/dequeue/"), 409, "wrong-state")["state"] == "pending"
    assert problem(api.post(f"/jobs/{job.pk}/retry/"), 409, "wrong-state")["state"] == "pending"
    queue_manager.queue_job(job)
    assert problem(api.post(f"/jobs/{job.pk}/queue/"), 409, "wrong-state")["state"] == "queued"
    assert api.post(f"/jobs/{job.pk}/cancel/").status_code == 200
    assert problem(api.post(f"/jobs/{job.pk}/cancel/"), 409, "wrong-state")["state"] == "cancelled"


def test_the_cancellation_of_an_active_job_is_accepted_and_comes_later(api: Api) -> None:
    job = ContainerJob.objects.create(command="true", status=Status.RUNNING)
    response = api.post(f"/jobs/{job.pk}/cancel/")
    assert (response.status_code, response.json()["status"]) == (202, "running")
    assert response.json()["cancel_requested_at"]
    assert problem(api.delete(f"/jobs/{job.pk}/"), 409, "wrong-state")["state"] == "running"


def test_a_failed_job_is_retried_and_a_finished_one_cloned_and_deleted(api: Api) -> None:
    failed = ContainerJob.objects.create(command="true", status=Status.FAILED)
    assert api.post(f"/jobs/{failed.pk}/retry/").json()["status"] == "queued"
    done = ContainerJob.objects.create(command="true", status=Status.COMPLETED, memory_limit=10)
    copy = api.post(f"/jobs/{done.pk}/clone/", {"memory_limit": 20, "is_queued": True})
    assert copy.status_code == 201
    assert (copy.json()["memory_limit"], copy.json()["command"], copy.json()["status"]) == (20, "true", "queued")
    assert api.delete(f"/jobs/{done.pk}/").status_code == 204
    problem(api.get(f"/jobs/{done.pk}/"), 404, "not-found")


def test_a_full_queue_says_when_to_come_back(api: Api, job: ContainerJob, settings: Any) -> None:
    settings.CONTAINER_MANAGER = {**settings.CONTAINER_MANAGER, "MAX_QUEUE_DEPTH": 0}
    response = api.post(f"/jobs/{job.pk}/queue/")
    problem(response, 429, "queue-full")
    assert int(response["Retry-After"]) > 0


@pytest.mark.parametrize("job_id", ["x", "01890000-0000-7000-8000-000000000001", "1" * 40])
def test_an_unknown_job_is_not_found(api: Api, job_id: str) -> None:
    problem(api.get(f"/jobs/{job_id}/"), 404, "not-found")
    problem(api.post(f"/jobs/{job_id}/queue/"), 404, "not-found")


def test_bodies_and_methods_that_cannot_be_read_are_problems_too(api: Api, job: ContainerJob) -> None:
    unread = api._client.post("/api/v1/jobs/", "{", content_type="application/json")
    problem(unread, 400, "malformed")
    problem(api._client.post("/api/v1/jobs/", "x", content_type="text/csv"), 415, "unsupported-media-type")
    problem(api._client.put("/api/v1/jobs/", "{}", content_type="application/json"), 405, "method-not-allowed")
    problem(api.get("/jobs/", Accept="image/png"), 406, "not-acceptable")


def test_lists_are_filtered_and_read_page_by_page(api: Api) -> None:
    made = [ContainerJob.objects.create(command="true", labels={"n": str(n % 2)}) for n in range(7)]
    ContainerJob.objects.create(command="true", status=Status.FAILED, outcome="app_error")
    failed = api.get("/jobs/?status=failed&status=cancelled&outcome=app_error").json()["results"]
    assert [job["status"] for job in failed] == ["failed"]
    wanted = [str(job.pk) for job in reversed(made) if job.labels == {"n": "0"}]
    page = api.get("/jobs/?label=n%3D0&page_size=3").json()
    rest = api.get(page["next"].partition("/api/v1")[2]).json()
    assert [job["id"] for job in page["results"] + rest["results"]] == wanted
    assert rest["next"] is None


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("status=done", "status"), ("worker=x", "worker"), ("label=x", "label"), ("exit_code=x", "exit_code"),
        ("created_after=soon", "created_after"), ("statsu=failed", "statsu"), ("cursor=x", "cursor"),
        ("search=%00", "search"), ("cursor=cD14", "cursor"),
    ],
)  # fmt: skip
def test_a_wrong_query_names_the_parameter(api: Api, query: str, parameter: str) -> None:
    errors = problem(api.get(f"/jobs/?{query}"), 400, "bad-query")["errors"]
    assert {error["parameter"] for error in errors} == {parameter}


def test_attempts_and_events_tell_the_history(api: Api, job: ContainerJob, host: Any) -> None:
    queue_manager.queue_job(job)
    assert queue_manager.launch_job(job) == {"success": True}
    attempts = api.get(f"/jobs/{job.pk}/attempts/").json()["results"]
    assert [(attempt["number"], attempt["host"]) for attempt in attempts] == [(1, "fake")]
    events = api.get(f"/jobs/{job.pk}/events/").json()["results"]
    assert [event["verb"] for event in events] == ["queue", "claim", "start"]
    assert JobAttempt.objects.get().number == 1


def test_what_has_not_changed_is_not_sent_again(api: Api, job: ContainerJob) -> None:
    first = api.get(f"/jobs/{job.pk}/")
    again = api.get(f"/jobs/{job.pk}/", If_None_Match=first["ETag"])
    assert (again.status_code, again.content) == (304, b"")
    queue_manager.queue_job(job)
    changed = api.get(f"/jobs/{job.pk}/", If_None_Match=first["ETag"])
    assert (changed.status_code, changed["ETag"] != first["ETag"]) == (200, True)
    assert "no-cache" in changed["Cache-Control"]
