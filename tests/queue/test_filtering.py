"""One set of filters: what each criterion finds, on every database."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from django.http import QueryDict
from django.utils import timezone

from container_manager.exceptions import JobValidationError
from container_manager.filtering import JobFilter, parse
from container_manager.models import ContainerJob, ExecutorHost, JobAttempt, JobBatch
from container_manager.models.job_queryset import JobQuerySet

pytestmark = pytest.mark.django_db


def found(**criteria: object) -> set[str]:
    jobs = JobFilter(**criteria).apply(JobQuerySet(ContainerJob))  # type: ignore[arg-type]
    return set(jobs.values_list("name", flat=True))


def create(names: Iterable[str], **fields: object) -> list[ContainerJob]:
    return [ContainerJob.objects.create(**{"command": "true", "name": name, **fields}) for name in names]


def test_no_criterion_is_every_job_and_several_values_are_alternatives() -> None:
    create("a", queue="one")
    create("b", queue="two")
    create("c", queue="three", status="failed", exit_code=3, outcome="app_error")
    assert found() == {"a", "b", "c"}
    assert JobFilter().is_empty
    assert found(queue=["one", "three"]) == {"a", "c"}
    assert found(queue=["one", "three"], status=["failed"]) == {"c"}
    assert found(exit_code=[3, 4], outcome=["app_error"]) == {"c"}
    assert not JobFilter(exit_code=[0]).is_empty


def test_several_labels_must_all_match() -> None:
    create("a", labels={"team": "video", "tier": "gold"})
    create("b", labels={"team": "video"})
    assert found(labels={"team": "video"}) == {"a", "b"}
    assert found(labels={"team": "video", "tier": "gold"}) == {"a"}


def test_host_worker_definition_tenant_and_batch() -> None:
    host = ExecutorHost.objects.create(name="blade", executor_type="fake")
    worker = uuid4()
    batch = JobBatch.objects.create()
    (job,) = create("a", status="running", worker=worker, definition="nightly", tenant="acme", batch=batch)
    JobAttempt.objects.create(job=job, number=1, host=host, launched_at=timezone.now())
    create("b")
    for criteria in (
        {"host": ["blade"]}, {"worker": [worker]}, {"definition": ["nightly"]}, {"tenant": ["acme"]},
        {"batch": [batch.pk]},
    ):  # fmt: skip
        assert found(**criteria) == {"a"}
    assert found(host=["other"]) == set()


def test_dates_include_the_first_moment_and_not_the_last() -> None:
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    create("a", created_at=noon, status="completed", finished_at=noon + timedelta(hours=1))
    create("b", created_at=noon + timedelta(hours=2))
    assert found(created_after=noon) == {"a", "b"}
    assert found(created_after=noon, created_before=noon + timedelta(hours=2)) == {"a"}
    assert found(finished_before=noon + timedelta(hours=2)) == {"a"}
    assert found(finished_after=noon + timedelta(hours=2)) == set()


@pytest.mark.parametrize(
    "text", ["nightly", "REPORT", "--année", 'say "hi"', "ALPINE:3", "disk full", "50%", "under_score"]
)
def test_a_search_looks_into_name_command_image_and_error(text: str) -> None:
    create(["Nightly"])
    create(["r"], command=["make-report", "--année", 'say "hi"'], image="alpine:3.20", error="Disk full at 50%")
    create(["under_score"])
    create(["underXscore", "other"], command="false", error="at 500")
    assert len(found(search=text)) == 1


def test_an_id_is_found_by_its_beginning_and_its_end_dashes_or_not() -> None:
    (job,) = create("a")
    create("b", id=UUID("00000000-0000-7000-8000-000000000000"))
    digits, dashed = job.pk.hex, str(job.pk)
    for text in (digits, dashed, dashed.upper(), digits[-12:], dashed[-14:], digits[:9], digits[:10], dashed[:20]):
        assert found(search=f" {text} ") == {"a"}, text
    assert found(search="00000000-0000-7") == {"b"}


def test_a_query_string_says_the_same() -> None:
    query = QueryDict(
        "status=failed&status=queued&exit_code=-9&label=team%3Dvideo&search=%20x%20&queue=&page=3"
        "&created_after=2026-03-01&created_before=2026-03-02T10:00:00Z&worker=00000000000070008000000000000001"
    )
    assert parse(dict(query.lists())) == JobFilter(
        status=["failed", "queued"],
        exit_code=[-9],
        labels={"team": "video"},
        search="x",
        created_after=datetime(2026, 3, 1, tzinfo=UTC),
        created_before=datetime(2026, 3, 2, 10, tzinfo=UTC),
        worker=[UUID("00000000-0000-7000-8000-000000000001")],
    )
    assert parse({}).is_empty


def test_each_wrong_value_is_named() -> None:
    wrong = {
        "status": "odd", "outcome": "odd", "exit_code": "1e3", "label": "team", "worker": "me",
        "created_after": "yesterday", "finished_before": "2026-02-31",
    }  # fmt: skip
    with pytest.raises(JobValidationError) as caught:
        parse({name: [value] for name, value in wrong.items()})
    assert caught.value.message_dict.keys() == wrong.keys()
    assert all(value in caught.value.message_dict[name][0] for name, value in wrong.items())
