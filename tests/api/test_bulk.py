"""One action on many jobs by REST."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from container_manager.models import ContainerJob, JobEvent
from container_manager.states import Status
from tests.api.conftest import Api
from tests.api.test_jobs import problem

pytestmark = pytest.mark.django_db


@pytest.fixture
def failed(db: None) -> list[ContainerJob]:
    return [ContainerJob.objects.create(command="true", status=Status.FAILED, queue="media") for _ in range(3)]


def test_a_filter_is_counted_first_and_then_acted_on(api: Api, failed: list[ContainerJob]) -> None:
    body = {"action": "retry", "filter": {"queue": ["media"], "status": ["failed"]}}
    counted = api.post("/jobs/bulk/", {**body, "dry_run": True}).json()
    assert (counted["matching"], counted["done"], counted["dry_run"]) == (3, [], True)
    assert ContainerJob.objects.filter(status=Status.FAILED).count() == 3
    answer = api.post("/jobs/bulk/", body).json()
    assert sorted(answer["done"]) == sorted(str(job.pk) for job in failed)
    assert set(JobEvent.objects.values_list("verb", "actor")) == {("queue", "root")}


def test_jobs_that_do_not_allow_it_are_skipped_with_the_reason(api: Api, failed: list[ContainerJob]) -> None:
    done = ContainerJob.objects.create(command="true", status=Status.COMPLETED)
    unknown = uuid4()
    ids = [str(failed[0].pk), str(done.pk), str(unknown)]
    answer = api.post("/jobs/bulk/", {"action": "retry", "ids": ids}).json()
    assert answer["done"] == [str(failed[0].pk)]
    skipped = {entry["id"]: (entry["status"], entry["reason"]) for entry in answer["skipped"]}
    assert skipped[str(done.pk)][0] == "completed"
    assert skipped[str(done.pk)][1]
    assert skipped[str(unknown)] == ("", "There is no such job.")


def test_priorities_are_set(api: Api, failed: list[ContainerJob]) -> None:
    job = ContainerJob.objects.create(command="true")
    api.post("/jobs/bulk/", {"action": "set_priority", "ids": [str(job.pk)], "priority": 90})
    job.refresh_from_db()
    assert job.priority == 90


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"action": "retry"}, "#/ids"),
        ({"action": "retry", "ids": [], "filter": {"queue": ["a"]}}, "#/ids"),
        ({"action": "retry", "ids": ["x"]}, "#/ids/0"),
        ({"action": "retry", "filter": {}}, "#/filter"),
        ({"action": "retry", "filter": {"statsu": ["failed"]}}, "#/filter/statsu"),
        ({"action": "retry", "filter": {"status": ["done"]}}, "#/filter/status/0"),
        ({"action": "explode", "filter": {"queue": ["a"]}}, "#/action"),
        ({"action": "set_priority", "filter": {"queue": ["a"]}}, "#/priority"),
        ({"action": "retry", "filter": {"queue": ["a"]}, "priority": 1}, "#/priority"),
    ],
    ids=str,
)
@pytest.mark.usefixtures("failed")
def test_a_wrong_request_changes_nothing(api: Api, body: dict[str, Any], pointer: str) -> None:
    errors = problem(api.post("/jobs/bulk/", body), 422, "invalid")["errors"]
    assert pointer in [error["pointer"] for error in errors]
    assert ContainerJob.objects.filter(status=Status.FAILED).count() == 3
