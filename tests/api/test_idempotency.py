"""A request that is repeated makes one job, whoever wins."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.utils import timezone

from container_manager.models import ContainerJob, IdempotencyKey
from container_manager.worker.retention import Retention
from tests.api.conftest import Api
from tests.api.test_jobs import problem

BODY = {"command": "echo once"}


@pytest.mark.django_db
def test_the_same_key_and_body_are_the_same_job(api: Api) -> None:
    first = api.post("/jobs/", BODY, Idempotency_Key="one")
    again = api.post("/jobs/", {"command": "echo once"}, Idempotency_Key="one")
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert api.post("/jobs/", BODY, Idempotency_Key="ONE").status_code == 201
    assert api.post("/jobs/", BODY).status_code == 201
    assert ContainerJob.objects.count() == 3


@pytest.mark.django_db
def test_the_same_key_with_another_body_is_refused(api: Api) -> None:
    api.post("/jobs/", BODY, Idempotency_Key="one")
    problem(api.post("/jobs/", {"command": "other"}, Idempotency_Key="one"), 409, "key-reused")
    assert ContainerJob.objects.count() == 1


@pytest.mark.django_db
def test_another_users_key_is_another_key(api: Api) -> None:
    api.post("/jobs/", BODY, Idempotency_Key="one")
    other = Api(User.objects.create_superuser("other"))
    assert other.post("/jobs/", {"command": "other"}, Idempotency_Key="one").status_code == 201


@pytest.mark.django_db
def test_a_request_that_was_refused_may_be_mended_under_its_key(api: Api) -> None:
    problem(api.post("/jobs/", {"command": ""}, Idempotency_Key="one"), 422, "invalid")
    assert api.post("/jobs/", BODY, Idempotency_Key="one").status_code == 201


@pytest.mark.django_db
@pytest.mark.parametrize("key", ["", "x" * 201])
def test_a_key_has_a_length(api: Api, key: str) -> None:
    problem(api.post("/jobs/", BODY, Idempotency_Key=key), 400, "malformed")


@pytest.mark.django_db
def test_old_keys_are_pruned(api: Api) -> None:
    api.post("/jobs/", BODY, Idempotency_Key="old")
    IdempotencyKey.objects.update(created_at=timezone.now() - timedelta(days=3))
    api.post("/jobs/", BODY, Idempotency_Key="new")
    assert Retention("default").prune_some()["idempotency_keys"] == 1
    assert IdempotencyKey.objects.count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_same", [True, False], ids=["the same body", "different bodies"])
def test_of_many_requests_at_once_one_makes_the_job(is_same: bool) -> None:
    count = 6
    barrier = Barrier(count)
    user = User.objects.create_superuser("root")

    def send(number: int) -> tuple[int, Any]:
        try:
            api = Api(user)
            barrier.wait(timeout=60)
            body = BODY if is_same else {"command": f"echo {number}"}
            response = api.post("/jobs/", body, Idempotency_Key="one")
            return response.status_code, response.json().get("id")
        finally:
            connections.close_all()

    with ThreadPoolExecutor(count) as pool:
        answers = list(pool.map(send, range(count)))
    codes = sorted(code for code, _ in answers)
    assert codes == ([200] * 5 + [201] if is_same else [201] + [409] * 5)
    assert ContainerJob.objects.count() == IdempotencyKey.objects.count() == 1
    made = str(ContainerJob.objects.get().pk)
    assert {job_id for code, job_id in answers if code != 409} == {made}
