"""Jobs run to scripted ends in the test's own transaction, the way they go in a worker."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from container_manager import queue_manager, signals
from container_manager.exceptions import ConfigurationError, QueueError
from container_manager.executors.fake import Script
from container_manager.handlers import on_job
from container_manager.models import ContainerJob, HandlerCall, JobAttempt, JobBatch, JobEvent, Lane
from container_manager.states import Hold, Status
from container_manager.testing import ContainerJobs, Run
from tests.testing_kit import told
from tests.video.container_jobs import PLANTED, MakeThumbnail, Transcode

pytestmark = pytest.mark.django_db


def film() -> ContentFile[bytes]:
    return ContentFile(b"a film", name="film.mov")


def content(job: ContainerJob, name: str) -> bytes:
    with job.files[name].open() as file:
        return bytes(file.read())


def test_a_job_without_a_script_ends_well_and_leaves_its_required_files(container_jobs: ContainerJobs) -> None:
    job = Transcode.queue(video=film())
    (ran,) = container_jobs.run_all()
    assert ran == job
    assert (ran.status, ran.exit_code, ran.outcome, ran.attempt) == (Status.COMPLETED, 0, "ok", 1)
    assert content(ran, "clip") == b"content of clip"
    assert "preview" not in ran.files
    assert ran.files["video"].size == 6


def test_a_script_says_output_files_result_and_progress(container_jobs: ContainerJobs) -> None:
    container_jobs.script(
        Transcode,
        Run(
            stdout=f"one\ntoken {PLANTED}", stderr="careful\n", files={"clip": b"\xff clip", "preview": "small"},
            result={"seconds": 1.5}, progress=40, progress_text="Resizing",
        ),
    )  # fmt: skip
    Transcode.queue(video=film())
    (job,) = container_jobs.run_all()
    assert job.output(stream="stdout") == "one\ntoken ********\n::progress 40 Resizing\n"
    assert job.output(stream="stderr") == "careful\n"
    assert (content(job, "clip"), content(job, "preview")) == (b"\xff clip", b"small")
    assert job.result == {"seconds": 1.5}
    assert (job.progress, job.progress_text) == (40, "Resizing")


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (Run(exit_code=3), ("failed", 3, "app_error", "Exit code 3.")),
        (Run(outcome="app_error"), ("failed", 1, "app_error", "Exit code 1.")),
        (Run(outcome="oom"), ("failed", 137, "oom", "Killed by the kernel: it needed more memory than its limit.")),
        (Run(outcome="timeout", error="too long"), ("failed", 143, "timeout", "too long")),
        (Run(outcome="cancelled"), ("cancelled", 143, "cancelled", "Stopped: it was cancelled.")),
        (Run(outcome="lost"), ("failed", None, "lost", "Its engine lost it.")),
        (Run(outcome="image_error", error="no such image"), ("failed", None, "image_error", "no such image")),
        (Run(outcome="config_error", error="no such user"), ("failed", None, "config_error", "no such user")),
        (Run(outcome="infra_error", error="no room"), ("failed", None, "infra_error", "no room")),
        (
            Run(files={"clip": None}),
            ("failed", 0, "output_error", "The output file clip is missing: "
             "clip.mp4 is no regular file in CM_OUTPUT_DIR."),
        ),
    ],
    ids=lambda value: str(value)[:30],
)  # fmt: skip
def test_every_way_to_end(container_jobs: ContainerJobs, run: Run, expected: tuple[Any, ...]) -> None:
    container_jobs.script(Transcode, run)
    Transcode.queue(video=film())
    (job,) = container_jobs.run_all()
    assert (job.status, job.exit_code, job.outcome, job.error) == expected


def test_a_run_is_a_function_of_the_job(container_jobs: ContainerJobs) -> None:
    def run(job: ContainerJob) -> Run:
        return Run(files={"clip": content(job, "video").upper()}, exit_code=int(job.parameters["height"] > 1000))

    container_jobs.script("transcode", run)
    good, bad = Transcode.queue(video=film()), Transcode.queue(video=film(), height=1080)
    assert container_jobs.run_all() == [good, bad]
    bad.refresh_from_db()
    assert content(good, "clip") == b"A FILM"
    assert bad.exit_code == 1


def test_jobs_without_a_definition_have_the_script_for_any_or_the_one_in_their_command(
    container_jobs: ContainerJobs,
) -> None:
    container_jobs.script(None, Run(exit_code=5))
    queue_manager.create_and_queue(command="true")
    queue_manager.create_and_queue(command=Script(exit_code=6).command())
    assert [job.exit_code for job in container_jobs.run_all()] == [5, 6]
    container_jobs.script(None, Run(result=1))
    queue_manager.create_and_queue(command="true")
    with pytest.raises(ConfigurationError, match="can have no result"):
        container_jobs.run_all()


def test_retries_follow_at_once_each_attempt_by_its_own_run(container_jobs: ContainerJobs) -> None:
    container_jobs.script(None, Run(exit_code=75, stdout="first"), Run(outcome="infra_error"), Run(stdout="third"))
    queue_manager.create_and_queue(command="true", retry_policy="on_failure")
    (job,) = container_jobs.run_all()
    assert (job.status, job.attempt, job.rerun_count, job.retry_count) == (Status.COMPLETED, 3, 1, 1)
    assert list(job.attempts.order_by("number").values_list("outcome", flat=True)) == ["app_error", "infra_error", "ok"]
    assert job.output() == "third"


def test_a_budget_of_retries_ends(container_jobs: ContainerJobs) -> None:
    container_jobs.script(None, Run(outcome="infra_error"))
    queue_manager.create_and_queue(command="true", max_retries=4)
    (job,) = container_jobs.run_all()
    assert (job.status, job.attempt, job.retry_count) == (Status.FAILED, 4, 4)


def test_the_best_runs_first_and_scheduled_jobs_only_when_asked(container_jobs: ContainerJobs) -> None:
    later = queue_manager.create_and_queue(command="true", schedule_for=timezone.now() + timedelta(days=1))
    low = queue_manager.create_and_queue(command="true", priority=20, queue="host:elsewhere")
    high = queue_manager.create_and_queue(command="true", priority=80, queue="gpu", memory_limit=1_000_000)
    assert container_jobs.run_all() == [high, low]
    assert container_jobs.queued() == [later]
    assert container_jobs.run_all() == []
    assert container_jobs.run_all(scheduled=True) == [later]


def test_limits_hold_and_places_are_given_back(container_jobs: ContainerJobs, settings: Any) -> None:
    settings.CONTAINER_MANAGER = {"LIMITS": {"tenant": 1, "definition:transcode": 2}}
    jobs = [queue_manager.create_and_queue(command="true", tenant=name) for name in ("acme", "acme", "acme", "umbra")]
    jobs += [Transcode.queue(video=film(), tenant="acme") for _ in range(3)]
    assert set(ContainerJob.objects.values_list("hold", flat=True)) == {Hold.LIMIT}
    ran = container_jobs.run_all()
    assert set(ran) == set(jobs)
    assert {job.status for job in ran} == {Status.COMPLETED}
    assert ran.index(jobs[3]) < 2, "tenants take turns"
    assert not Lane.objects.filter(running__gt=0).exists()


def test_a_batch_runs_to_its_end_and_its_function_is_told(container_jobs: ContainerJobs) -> None:
    container_jobs.script(Transcode, lambda job: Run(exit_code=int(job.parameters["height"] == 480)))
    batch = Transcode.queue_many(
        [{"video": film(), "height": height} for height in (360, 480, 720)],
        batch_name="album", max_running=1, on_complete="tests.testing_kit.told.batch_told",
    )  # fmt: skip
    assert len(container_jobs.run_all()) == 3
    assert told.told == ["album 2 of 3"]
    batch.refresh_from_db()
    assert batch.progress() == {"total": 3, "queued": 0, "running": 0, "completed": 2, "failed": 1, "cancelled": 0}


def test_a_batch_of_nothing_is_completed_too(container_jobs: ContainerJobs) -> None:
    queue_manager.queue_batch([], name="empty", on_complete=told.batch_told)
    container_jobs.run_all()
    assert told.told == ["empty 0 of 0"]
    assert JobBatch.objects.get().is_completed


def test_handlers_are_called_and_what_they_queue_runs_too(container_jobs: ContainerJobs) -> None:
    on_job("completed", definition=Transcode)(told.another)
    on_job("queued", "finished")(told.job_told)
    container_jobs.script(Transcode, Run(result={"seconds": 3}))
    Transcode.queue(video=film())
    assert [job.definition for job in container_jobs.run_all()] == ["transcode", "make_thumbnail"]
    # The job as it is when the handler is called, as in a worker.
    assert told.told == [
        "transcode queued", "transcode completed", "make_thumbnail queued", "make_thumbnail completed",
    ]  # fmt: skip
    assert set(HandlerCall.objects.values_list("state", flat=True)) == {"delivered"}


@pytest.mark.parametrize(
    ("handler", "error"), [(told.raising, LookupError), (told.breaking, DatabaseError)], ids=["raising", "breaking"]
)
def test_what_a_handler_raises_comes_out_and_the_test_goes_on(
    container_jobs: ContainerJobs, handler: Any, error: type[Exception]
) -> None:
    on_job("completed")(handler)
    queue_manager.create_and_queue(command="true")
    with pytest.raises(error):
        container_jobs.run_all()
    assert ContainerJob.objects.get().status == Status.COMPLETED
    call = HandlerCall.objects.get()
    assert (call.state, call.tries) == ("waiting", 1)
    container_jobs.run_all(propagate=False)
    call.refresh_from_db()
    assert (call.state, call.tries) == ("failed", 12)
    assert len(told.told) == 12


def test_webhooks_are_kept_and_not_sent(container_jobs: ContainerJobs, settings: Any) -> None:
    webhook = {"url": "https://nowhere.invalid/jobs", "secret": "s3cret", "events": ["failed"]}
    settings.CONTAINER_MANAGER = {"WEBHOOKS": {"billing": webhook}}
    container_jobs.script(None, Run(exit_code=3))
    job = queue_manager.create_and_queue(command="true")
    container_jobs.run_all()
    (request,) = container_jobs.webhooks
    assert (request.name, request.url) == ("billing", "https://nowhere.invalid/jobs")
    told_of = json.loads(request.body)
    assert (told_of["type"], told_of["data"]["id"], told_of["data"]["exit_code"]) == ("job.failed", str(job.pk), 3)
    assert request.headers["webhook-signature"].startswith("v1,")
    assert HandlerCall.objects.get().state == "delivered"


def test_signals_are_sent_once_although_nothing_is_committed(
    container_jobs: ContainerJobs, django_capture_on_commit_callbacks: Any
) -> None:
    seen: list[str] = []

    def on_completed(sender: object, **data: Any) -> None:
        seen.append("completed")

    signals.job_completed.connect(on_completed)
    try:
        queue_manager.create_and_queue(command="true")
        with django_capture_on_commit_callbacks(execute=True):
            container_jobs.run_all()
    finally:
        signals.job_completed.disconnect(on_completed)
    assert seen == ["completed"]


def test_everything_happens_in_this_thread_and_in_the_tests_own_transaction(container_jobs: ContainerJobs) -> None:
    on_job("completed")(told.job_told)
    threads = threading.active_count()
    for _ in range(3):
        Transcode.queue(video=film())
    with_jobs = transaction.savepoint()
    assert connection.in_atomic_block
    assert len(container_jobs.run_all()) == 3
    assert threading.active_count() == threads
    transaction.savepoint_rollback(with_jobs)
    assert set(ContainerJob.objects.values_list("status", flat=True)) == {Status.QUEUED}
    assert not JobAttempt.objects.exists()


def test_a_cancelled_job_does_not_run(container_jobs: ContainerJobs) -> None:
    queue_manager.cancel_job(queue_manager.create_and_queue(command="true"))
    assert container_jobs.run_all() == []


def test_a_secret_that_is_not_set_fails_the_job_as_in_a_worker(
    container_jobs: ContainerJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ACME_TOKEN")
    Transcode.queue(video=film())
    (job,) = container_jobs.run_all()
    assert (job.status, job.outcome) == (Status.FAILED, "config_error")
    assert "ACME_TOKEN" in job.error


def test_a_timeline_is_what_a_worker_leaves(container_jobs: ContainerJobs) -> None:
    container_jobs.script(None, Run(exit_code=1), Run())
    job = queue_manager.create_and_queue(command="true", retry_policy="on_failure")
    container_jobs.run_all()
    verbs = JobEvent.objects.filter(job_id=job.pk).order_by("pk").values_list("verb", flat=True)
    assert list(verbs) == ["queue", "claim", "start", "retry", "claim", "start", "complete"]


def test_a_job_that_queues_another_without_end_is_an_error(container_jobs: ContainerJobs) -> None:
    on_job("completed", definition=Transcode)(told.the_same_again)
    default_storage.save("film.mov", film())
    Transcode.queue(video=("default", "film.mov"))
    with pytest.raises(AssertionError, match="5 attempts were run and more jobs are ready"):
        container_jobs.run_all(limit=5)
    assert ContainerJob.objects.filter(status=Status.COMPLETED).count() == 5


def test_inside_a_block_of_ones_own_nothing_runs(container_jobs: ContainerJobs) -> None:
    with transaction.atomic(), pytest.raises(QueueError, match="Call it after the block"):
        container_jobs.run_all()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"outcome": "bad"}, "no outcome 'bad'; outcomes are ok, app_error"),
        ({"outcome": "output_error"}, "a required file that is missing"),
        ({"outcome": "ok", "exit_code": 3}, "Exit code 3 is not the outcome 'ok'"),
    ],
)
def test_a_run_that_cannot_be_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Run(**values)


def test_a_script_that_fits_no_definition_is_refused(container_jobs: ContainerJobs) -> None:
    with pytest.raises(QueueError, match="Did you mean 'transcode'"):
        container_jobs.script("transcod", Run())
    with pytest.raises(ConfigurationError, match="at least one Run"):
        container_jobs.script(Transcode)
    container_jobs.script(MakeThumbnail, Run(files={"clip": b""}))
    MakeThumbnail.queue(width=100)
    with pytest.raises(ConfigurationError, match="leaves no file 'clip'; its output files are: none"):
        container_jobs.run_all()
