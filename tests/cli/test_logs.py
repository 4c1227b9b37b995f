"""``containers logs``: bytes as they came, each stream on its own. Live output is in ``test_processes``."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from container_manager.management import exits
from container_manager.management.job_output import last_lines
from container_manager.models import ContainerJob, ExecutorHost, JobAttempt, JobLog
from container_manager.models.log import pack
from container_manager.specs import LogEntry, Stream
from container_manager.states import Status
from tests.cli.conftest import Containers

pytestmark = pytest.mark.django_db
OUT, ERR = Stream.STDOUT, Stream.STDERR
MOMENT = datetime(2031, 1, 31, 18, 0, 0, 250_000, tzinfo=UTC)


@pytest.fixture
def job(process_host: ExecutorHost) -> ContainerJob:
    return ContainerJob.objects.create(command="true", status=Status.COMPLETED)


def store(job: ContainerJob, number: int, *chunks: list[LogEntry], first: int = 0) -> JobAttempt:
    attempt = JobAttempt.objects.create(
        job=job, number=number, host=ExecutorHost.objects.get(), launched_at=MOMENT, finished_at=MOMENT, log_bytes=9,
        log_sequence=first + len(chunks),
    )  # fmt: skip
    for sequence, entries in enumerate(chunks, start=first):
        JobLog.objects.create(attempt=attempt, sequence=sequence, data=b"".join(map(pack, entries)))
    return attempt


def test_the_streams_are_kept_apart_and_one_can_be_left_out(containers: Containers, job: ContainerJob) -> None:
    store(job, 1, [LogEntry(OUT, b"one\n"), LogEntry(ERR, b"bad \xff\x00\n")], [LogEntry(OUT, b"two\n")])
    answer = containers("logs", str(job.pk))
    assert (answer.code, answer.out, answer.err) == (exits.OK, "one\ntwo\n", "bad \ufffd\x00\n")
    only = containers("logs", str(job.pk), "--stream", "stderr")
    assert (only.out, only.err) == ("", "bad \ufffd\x00\n")
    followed = containers("logs", str(job.pk), "--follow")
    assert (followed.out, followed.err) == (answer.out, answer.err)


def test_a_character_cut_in_two_by_the_engine_is_whole_again(containers: Containers, job: ContainerJob) -> None:
    store(job, 1, [LogEntry(OUT, "ä".encode()[:1])], [LogEntry(OUT, "ä".encode()[1:])])
    assert containers("logs", str(job.pk)).out == "ä"


@pytest.mark.parametrize("follow", [[], ["--follow"]])
def test_the_tail_keeps_the_streams_apart_too(containers: Containers, job: ContainerJob, follow: list[str]) -> None:
    store(job, 1, [LogEntry(OUT, b"one\ntwo\n"), LogEntry(ERR, b"three\n"), LogEntry(OUT, b"four\n")])
    answer = containers("logs", str(job.pk), "--tail", "3", *follow)
    assert (answer.out, answer.err) == ("two\nfour\n", "three\n")
    assert containers("logs", str(job.pk), "--tail", "1", "--stream", "stdout", *follow).out == "four\n"
    assert containers("logs", str(job.pk), "--tail", "0", *follow).out == ""


@pytest.mark.parametrize(
    ("count", "kept"), [(0, b""), (1, b"d"), (2, b"c\nd"), (3, b"b\nc\nd"), (4, b"a b\nc\nd"[2:]), (9, b"b\nc\nd")]
)
def test_the_last_lines_of_entries_that_are_no_lines(count: int, kept: bytes) -> None:
    entries = [LogEntry(OUT, b"b\n"), LogEntry(ERR, b"c"), LogEntry(OUT, b"\nd")]
    assert b"".join(entry.data for entry in last_lines(entries, count)) == kept


def test_timestamps_begin_each_line_and_no_piece(containers: Containers, job: ContainerJob) -> None:
    store(job, 1, [LogEntry(OUT, b"o", MOMENT), LogEntry(OUT, b"ne\ntwo\n", MOMENT)], [LogEntry(OUT, b"odd")])
    stamp = "2031-01-31T18:00:00.250Z  "
    assert containers("logs", str(job.pk), "-t").out == f"{stamp}one\n{stamp}two\nodd"


def test_what_was_left_out_is_said_where_it_was(containers: Containers, job: ContainerJob) -> None:
    attempt = store(job, 1, [LogEntry(OUT, b"head\n")])
    JobLog.objects.create(attempt=attempt, sequence=9, data=pack(LogEntry(OUT, b"tail\n")))
    JobAttempt.objects.update(log_bytes_left_out=12_345)
    answer = containers("logs", str(job.pk))
    assert answer.out == "head\ntail\n"
    assert "12345 bytes left out" in answer.err


def test_attempts_are_chosen_by_number_and_the_last_is_the_default(containers: Containers, job: ContainerJob) -> None:
    store(job, 1, [LogEntry(OUT, b"first\n")])
    store(job, 3, [LogEntry(OUT, b"third\n")])
    assert containers("logs", str(job.pk)).out == "third\n"
    assert containers("logs", str(job.pk), "--attempt", "1").out == "first\n"
    assert containers("logs", str(job.pk), "--attempt", "1", "--follow").out == "first\n"
    answer = containers("logs", str(job.pk), "--attempt", "2")
    assert answer.code == exits.NOT_FOUND
    assert "it has 3, 1" in answer.err


def test_no_output_is_told_from_deleted_output(containers: Containers, job: ContainerJob) -> None:
    assert "not been launched" in containers("logs", str(job.pk)).err
    store(job, 1)
    assert "9 bytes of output have been deleted" in containers("logs", str(job.pk)).err
