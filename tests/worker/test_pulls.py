"""The progress of a pull is in the timeline of every job that waits for the image, and not more often than need be."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import pytest

from container_manager import queue_manager
from container_manager.executors.fake import FakeEngine, Script
from container_manager.models import ContainerJob, ExecutorHost
from container_manager.specs import JobSpec, PullProgress
from container_manager.states import Status, Verb
from container_manager.worker import pulls
from container_manager.worker.host_runner import HostRunner
from tests.processes import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


def progress(image: str, layers_done: int) -> PullProgress:
    return PullProgress(image=image, layers_done=layers_done, layers=3, bytes_done=1_500_000, bytes_total=4_000_000)


def notes(job: ContainerJob) -> list[str]:
    return list(job.events.filter(verb=Verb.NOTE).values_list("message", flat=True))


@contextmanager
def runner_of(host: ExecutorHost) -> Iterator[HostRunner]:
    runner = HostRunner(host, uuid4(), "pulltest", "default", threading.Event(), threads=4)
    try:
        yield runner
    finally:
        runner.close()


class Pull:
    """A creation that waits, and tells what it is told to tell from its own thread."""

    def __init__(self, engine: FakeEngine) -> None:
        self.runner: HostRunner | None = None
        self.told: list[PullProgress] = []
        self.wanted: list[PullProgress] = []
        self.has_ended = threading.Event()
        self.has_news = threading.Condition()
        engine.script(self.create)

    def create(self, spec: JobSpec) -> Script:
        while not self.has_ended.is_set():
            with self.has_news:
                self.has_news.wait_for(lambda: self.wanted or self.has_ended.is_set(), timeout=30)
                news, self.wanted = self.wanted, []
            for one in news:
                assert self.runner is not None
                assert self.runner.executor.on_progress is not None
                self.runner.executor.on_progress(one)
                self.told.append(one)
        return Script()

    def tell(self, one: PullProgress) -> None:
        """``one`` has been told, in the executor's thread."""
        with self.has_news:
            self.wanted.append(one)
            self.has_news.notify_all()
        wait_until(lambda: one in self.told, what="the pull's thread")

    def end(self) -> None:
        self.has_ended.set()
        with self.has_news:
            self.has_news.notify_all()


def test_every_job_that_waits_for_the_image_has_a_note_and_no_other(
    fake_host: ExecutorHost, fake_engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    pull = Pull(fake_engine)
    first, second, other = queue_manager.queue_jobs(
        [ContainerJob(command="x", image=image) for image in ("big:1", "big:1", "small:1")]
    )
    with runner_of(fake_host) as runner:
        pull.runner = runner
        assert runner.claim("default", 3) == 3

        pull.tell(progress("big:1", 1))
        runner.tick(may_start=True)
        expected = "Pulling the image big:1: 1 of 3 layers, 1.5 of 4.0 MB."
        assert [notes(job) for job in (first, second, other)] == [[expected], [expected], []]

        pull.tell(progress("big:1", 2))
        runner.tick(may_start=True)
        assert notes(first) == [expected], "the interval is not over"

        monkeypatch.setattr(pulls, "NOTE_INTERVAL", 0.0)
        runner.pulls._next_note.clear()
        runner.tick(may_start=True)
        assert len(notes(first)) == len(notes(second)) == 2
        assert "2 of 3 layers" in notes(first)[1]

        pull.end()
        wait_until(lambda: runner.tick(may_start=True) and not runner.watches, what="the end of the jobs")
        assert {ContainerJob.objects.get(pk=job.pk).status for job in (first, second, other)} == {Status.COMPLETED}
        assert len(notes(first)) == 2


def test_what_is_told_when_nobody_waits_is_not_kept(fake_host: ExecutorHost, fake_engine: FakeEngine) -> None:
    with runner_of(fake_host) as runner:
        assert runner.executor.on_progress is not None
        runner.executor.on_progress(progress("big:1", 1))
        runner.tick(may_start=True)
        job = queue_manager.create_and_queue(command="x", image="big:1")
        runner.claim("default", 1)
        wait_until(lambda: runner.tick(may_start=True) and not runner.watches, what="the end of the job")
        assert notes(job) == []
    assert runner.executor.on_progress is None
