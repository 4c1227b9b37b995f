"""Closed by default, and what one user may not see is nowhere to be seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from rest_framework.authentication import BasicAuthentication
from rest_framework.permissions import IsAdminUser
from rest_framework.settings import api_settings
from rest_framework.throttling import UserRateThrottle

from container_manager.api.views import QueueView
from container_manager.bulk import Action
from container_manager.models import ContainerJob
from container_manager.models.job_queryset import JobQuerySet
from container_manager.states import Status
from tests.api.conftest import Api
from tests.api.test_jobs import problem

pytestmark = pytest.mark.django_db
READS = {
    "/jobs/": "view_containerjob", "/jobs/{job}/": "view_containerjob", "/jobs/{job}/attempts/": "view_containerjob",
    "/jobs/{job}/events/": "view_containerjob", "/jobs/{job}/logs/": "view_logs_containerjob",
    "/jobs/{job}/logs/stream/": "view_logs_containerjob", "/hosts/": "view_executorhost",
    "/hosts/fake/": "view_executorhost", "/workers/": "view_worker", "/stats/": "view_containerjob",
}  # fmt: skip
WRITES = {
    "/jobs/": "add_containerjob", "/jobs/{job}/queue/": "launch_containerjob",
    "/jobs/{job}/dequeue/": "launch_containerjob", "/jobs/{job}/cancel/": "cancel_containerjob",
    "/jobs/{job}/retry/": "retry_containerjob", "/jobs/{job}/clone/": "add_containerjob",
    "/hosts/fake/drain/": "change_executorhost", "/hosts/fake/resume/": "change_executorhost",
    "/hosts/fake/check/": "change_executorhost",
}  # fmt: skip


def only_media(jobs: JobQuerySet, user: User) -> JobQuerySet:
    """The tests' own hook: everybody but the superuser sees one queue."""
    return jobs if user.is_superuser else jobs.filter(queue="media")


@pytest.fixture
def hidden(job: ContainerJob, settings: Any) -> ContainerJob:
    settings.CONTAINER_MANAGER = {**settings.CONTAINER_MANAGER, "VISIBLE_JOBS": f"{__name__}.{only_media.__name__}"}
    return job


@pytest.mark.usefixtures("host")
def test_nobody_gets_anything(job: ContainerJob) -> None:
    nobody = Api()
    for path in (*READS, "/schema/"):
        problem(nobody.get(path.format(job=job.pk)), 403, "not-authenticated")
    for path in (*WRITES, "/jobs/bulk/"):
        problem(nobody.post(path.format(job=job.pk), {}), 403, "not-authenticated")
    problem(nobody.delete(f"/jobs/{job.pk}/"), 403, "not-authenticated")


@pytest.mark.usefixtures("host")
def test_a_user_without_permissions_gets_nothing(job: ContainerJob, user_with: Callable[..., User]) -> None:
    user = Api(user_with())
    for path in READS:
        problem(user.get(path.format(job=job.pk)), 403, "forbidden")
    for path in WRITES:
        problem(user.post(path.format(job=job.pk), {}), 403, "forbidden")
    problem(user.delete(f"/jobs/{job.pk}/"), 403, "forbidden")
    for action in Action:
        problem(user.post("/jobs/bulk/", {"action": action, "ids": [str(job.pk)]}), 403, "forbidden")
    job.refresh_from_db()
    assert job.status == Status.PENDING


@pytest.mark.usefixtures("host")
def test_one_permission_opens_what_it_is_for(job: ContainerJob, user_with: Callable[..., User]) -> None:
    for path, permission in READS.items():
        user = Api(user_with(permission, username=f"read {path}"))
        assert user.get(path.format(job=job.pk)).status_code in (200, 406), path
    for path, permission in WRITES.items():
        user = Api(user_with(permission, username=f"write {path}"))
        answer = user.post(path.format(job=job.pk), {"command": "true"} if path == "/jobs/" else None)
        assert answer.status_code in (200, 201, 409), (path, answer.content)


def test_creating_is_not_queueing(user_with: Callable[..., User]) -> None:
    user = Api(user_with("add_containerjob"))
    problem(user.post("/jobs/", {"command": "true", "is_queued": True}), 403, "forbidden")
    assert not ContainerJob.objects.exists()


def test_reading_a_job_is_not_acting_on_it_in_bulk(job: ContainerJob, user_with: Callable[..., User]) -> None:
    user = Api(user_with("view_containerjob", "cancel_containerjob"))
    for action in set(Action) - {Action.CANCEL}:
        problem(user.post("/jobs/bulk/", {"action": action, "ids": [str(job.pk)]}), 403, "forbidden")
    assert user.post("/jobs/bulk/", {"action": "cancel", "ids": [str(job.pk)]}).json()["done"] == [str(job.pk)]


def test_jobs_that_the_hook_hides_are_nowhere(hidden: ContainerJob, user_with: Callable[..., User]) -> None:
    names = [*READS.values(), *WRITES.values(), "delete_containerjob", "change_containerjob"]
    user = Api(user_with(*names))
    seen = ContainerJob.objects.create(command="true", queue="media")
    assert [job["id"] for job in user.get("/jobs/").json()["results"]] == [str(seen.pk)]
    for path in (path for path in READS if "{job}" in path):
        problem(user.get(path.format(job=hidden.pk)), 404, "not-found")
    for path in (path for path in WRITES if "{job}" in path):
        problem(user.post(path.format(job=hidden.pk)), 404, "not-found")
    problem(user.delete(f"/jobs/{hidden.pk}/"), 404, "not-found")
    for action in Action:
        extra = {"priority": 1} if action == Action.SET_PRIORITY else {}
        answer = user.post("/jobs/bulk/", {"action": action, "ids": [str(hidden.pk)], **extra}).json()
        assert answer["skipped"] == [{"id": str(hidden.pk), "status": "", "reason": "There is no such job."}]
        counted = user.post("/jobs/bulk/", {"action": action, "filter": {"name": []}, "dry_run": True, **extra})
        problem(counted, 422, "invalid")
        body = {"action": action, "filter": {"search": "hello"}, **extra}
        assert user.post("/jobs/bulk/", body).json()["done"] == []
    assert user.get("/stats/").json()["queued"] == 0
    hidden.refresh_from_db()
    assert hidden.status == Status.PENDING


@pytest.mark.usefixtures("hidden")
def test_a_job_that_its_maker_could_not_see_is_not_made(user_with: Callable[..., User]) -> None:
    user = Api(user_with("add_containerjob", "launch_containerjob"))
    for is_queued in (True, False):
        body = {"command": "true", "queue": "default", "is_queued": is_queued}
        problem(user.post("/jobs/", body, Idempotency_Key="one"), 403, "forbidden")
    seen = user.post("/jobs/", {"command": "true", "queue": "media"}, Idempotency_Key="one")
    assert seen.status_code == 201
    problem(user.post(f"/jobs/{seen.json()['id']}/clone/", {"queue": "default"}), 403, "forbidden")
    assert ContainerJob.objects.count() == 2


def test_without_credentials_a_project_with_tokens_answers_401(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(QueueView, "authentication_classes", [BasicAuthentication])
    refused = Api().get("/jobs/")
    problem(refused, 401, "not-authenticated")
    assert refused["WWW-Authenticate"].startswith("Basic")


def test_the_numbers_are_of_the_jobs_that_are_seen(hidden: ContainerJob, user_with: Callable[..., User]) -> None:
    ContainerJob.objects.create(command="true", status=Status.QUEUED)
    ContainerJob.objects.create(command="true", status=Status.QUEUED, queue="media")
    assert Api(user_with("view_containerjob")).get("/stats/").json()["queued"] == 1
    assert Api(User.objects.create_superuser("root")).get("/stats/").json()["queued"] == 2


def test_the_projects_own_permissions_still_apply(
    job: ContainerJob, user_with: Callable[..., User], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_settings, "DEFAULT_PERMISSION_CLASSES", [IsAdminUser])
    problem(Api(user_with("view_containerjob")).get("/jobs/"), 403, "forbidden")
    assert Api(User.objects.create_superuser("root")).get("/jobs/").status_code == 200


def test_the_projects_throttles_still_apply_and_say_when_to_come_back(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    class OnceAnHour(UserRateThrottle):
        rate = "1/hour"
        scope = "test_of_throttles"

    cache.clear()
    monkeypatch.setattr(QueueView, "throttle_classes", [OnceAnHour])
    assert api.get("/jobs/").status_code == 200
    refused = api.get("/jobs/")
    problem(refused, 429, "throttled")
    assert 0 < int(refused["Retry-After"]) <= 3_600
    assert Api().get("/health/live").status_code == 200
    cache.clear()
