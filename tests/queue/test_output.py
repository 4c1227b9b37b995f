"""The output of an attempt: head and tail byte for byte, bounded rows, an exact count of what is missing."""

from __future__ import annotations

import random
from collections.abc import Iterator
from uuid import UUID

import pytest
from django.test import override_settings
from uuid_utils.compat import uuid7

from container_manager import claiming, conf, queue_manager
from container_manager.models import ExecutorHost, JobAttempt, JobLog
from container_manager.models.log import unpack
from container_manager.ownership import Claim
from container_manager.services.output import HEAD_CHUNKS, TAIL_CHUNKS, OutputWriter, store_output
from container_manager.specs import LogBatch, LogEntry, Stream

pytestmark = pytest.mark.django_db

MEGABYTE = 1 << 20
WINDOW = 2 * MEGABYTE


class Written:
    """The first and the last bytes of what was written, and how many there were."""

    def __init__(self) -> None:
        self.head, self.tail, self.size = bytearray(), bytearray(), 0

    def add(self, data: bytes) -> None:
        self.head += data[: WINDOW - len(self.head)]
        self.tail += data
        del self.tail[:-WINDOW]
        self.size += len(data)


def claims(host: ExecutorHost, count: int = 1) -> list[Claim]:
    for _ in range(count):
        queue_manager.create_and_queue(command="true")
    return claiming.claim(host, uuid7(), queue="default", limit=count, using="default")


@pytest.fixture
def claim(host: ExecutorHost) -> Claim:
    return claims(host)[0]


def batch(*pieces: bytes, cursor: str = "c") -> LogBatch:
    streams = (Stream.STDOUT, Stream.STDERR)
    return LogBatch(tuple(LogEntry(streams[number % 2], piece) for number, piece in enumerate(pieces)), cursor)


def store(writer: OutputWriter, worker: UUID, *batches: LogBatch) -> set[UUID]:
    kept: set[UUID] = set()
    for taken in batches:
        write = writer.take(taken)
        kept = store_output([write] if write else [], worker, "default")
    return kept


def rows(attempt_id: UUID) -> list[tuple[int, bytes]]:
    logs = JobLog.objects.filter(attempt_id=attempt_id).order_by("sequence")
    return [(log.sequence, bytes(log.data)) for log in logs]


def payload(chunks: list[bytes]) -> bytes:
    return b"".join(entry.data for chunk in chunks for entry in unpack(chunk))


def assert_accounted_for(attempt_id: UUID, written: Written) -> bytes:
    """Head and tail are what was written, nothing else is kept, and the rest is counted; returns what is kept."""
    attempt = JobAttempt.objects.get(pk=attempt_id)
    stored = rows(attempt_id)
    head = payload([data for sequence, data in stored if sequence < HEAD_CHUNKS])
    tail = payload([data for sequence, data in stored if sequence >= HEAD_CHUNKS])
    assert head == written.head[: len(head)]
    assert tail == written.tail[len(written.tail) - len(tail) :]
    assert attempt.log_bytes == written.size
    assert attempt.log_bytes_left_out == written.size - len(head) - len(tail)
    assert len(stored) <= HEAD_CHUNKS + TAIL_CHUNKS
    assert max(len(data) for _, data in stored) <= 65_536
    assert len(head) + len(tail) <= conf.get("LOG_MAX_BYTES")
    return head + tail


def megabytes(count: int, piece_bytes: int) -> Iterator[tuple[bytes, list[bytes]]]:
    """A megabyte at a time, all different, and the same in pieces."""
    source = random.Random(7)  # noqa: S311 - data, not a secret
    noise = source.randbytes(MEGABYTE)
    for number in range(count):
        data = (number.to_bytes(4, "big") + noise[number:] + noise)[:MEGABYTE]
        yield data, [data[start : start + piece_bytes] for start in range(0, len(data), piece_bytes)]


@pytest.mark.parametrize("piece_bytes", [20_000, 65_536, MEGABYTE])
def test_of_a_hundred_megabytes_head_and_tail_are_kept_and_the_rest_is_counted(claim: Claim, piece_bytes: int) -> None:
    writer, written = OutputWriter(claim.attempt_id), Written()
    for number, (data, pieces) in enumerate(megabytes(100, piece_bytes)):
        written.add(data)
        if number == 50:  # another owner goes on from the row
            writer = OutputWriter.resume(JobAttempt.objects.get(pk=claim.attempt_id), "default")
        assert store(writer, claim.worker, batch(*pieces)) == {claim.attempt_id}
    kept = assert_accounted_for(claim.attempt_id, written)
    assert len(kept) > conf.get("LOG_MAX_BYTES") // 2


def test_many_tiny_pieces_stay_within_the_bounds_too(claim: Claim) -> None:
    writer, written = OutputWriter(claim.attempt_id), Written()
    for data, pieces in megabytes(2, 5):
        written.add(data)
        store(writer, claim.worker, batch(*pieces))
    assert_accounted_for(claim.attempt_id, written)


@pytest.mark.parametrize("limit", [32_768, 100_000, 2_080_000])
def test_the_setting_bounds_what_is_kept(claim: Claim, limit: int) -> None:
    with override_settings(CONTAINER_MANAGER={"LOG_MAX_BYTES": limit}):
        writer, written = OutputWriter(claim.attempt_id), Written()
        for data, pieces in megabytes(4, 8_000):
            written.add(data)
            store(writer, claim.worker, batch(*pieces))
        assert_accounted_for(claim.attempt_id, written)


@override_settings(CONTAINER_MANAGER={"LOG_MAX_BYTES": 32_768})
def test_a_writer_made_anew_before_every_batch_writes_the_same_rows(host: ExecutorHost) -> None:
    steady, interrupted = claims(host, 2)
    writer = OutputWriter(steady.attempt_id)
    source = random.Random(3)  # noqa: S311 - data, not a secret
    for _ in range(120):
        pieces = [source.randbytes(source.choice([0, 1, 700, 5_000])) for _ in range(source.randrange(1, 4))]
        store(writer, steady.worker, batch(*pieces))
        again = OutputWriter.resume(JobAttempt.objects.get(pk=interrupted.attempt_id), "default")
        store(again, interrupted.worker, batch(*pieces))
        assert rows(steady.attempt_id) == rows(interrupted.attempt_id)
    assert JobAttempt.objects.get(pk=steady.attempt_id).log_bytes_left_out > 0
    counters = JobAttempt.objects.values_list("log_sequence", "log_bytes", "log_bytes_left_out", "log_cursor")
    assert counters.get(pk=steady.attempt_id) == counters.get(pk=interrupted.attempt_id)


def test_a_short_output_is_kept_whole_and_grows_in_one_row(claim: Claim) -> None:
    writer = OutputWriter(claim.attempt_id)
    for number in range(20):
        store(writer, claim.worker, batch(f"line {number}\n".encode(), cursor=str(number)))
    attempt = JobAttempt.objects.get(pk=claim.attempt_id)
    assert (attempt.log_sequence, attempt.log_cursor, attempt.log_bytes_left_out) == (1, "19", 0)
    assert claim.job.output() == "".join(f"line {number}\n" for number in range(20))
    assert claim.job.output(tail=2) == "line 18\nline 19\n"
    assert claim.job.output(tail=0) == ""


def test_nothing_new_writes_nothing(claim: Claim) -> None:
    writer = OutputWriter(claim.attempt_id)
    assert writer.take(LogBatch((), "7")) is None
    assert store_output([], claim.worker, "default") == set()
    assert store(writer, claim.worker, batch(b"", cursor="8")) == {claim.attempt_id}
    assert JobAttempt.objects.get(pk=claim.attempt_id).log_bytes == 0
    assert store(writer, claim.worker, batch(b"x", cursor="9")) == {claim.attempt_id}
    assert claim.job.output() == "x"


def test_who_does_not_own_the_attempt_any_more_writes_nothing(host: ExecutorHost) -> None:
    mine, lost, ended = claims(host, 3)
    worker = mine.worker
    writers = [OutputWriter(claim.attempt_id) for claim in (mine, lost, ended)]
    first = [write for writer in writers if (write := writer.take(batch(b"before", cursor="1")))]
    assert store_output(first, worker, "default") == {mine.attempt_id, lost.attempt_id, ended.attempt_id}
    JobAttempt.objects.filter(pk=lost.attempt_id).update(worker=uuid7())
    ended.job.mark_as_failed()
    second = [write for writer in writers if (write := writer.take(batch(b" after", cursor="2")))]
    assert store_output(second, worker, "default") == {mine.attempt_id}
    outputs = {claim.attempt_id: claim.job.output() for claim in (mine, lost, ended)}
    assert outputs == {mine.attempt_id: "before after", lost.attempt_id: "before", ended.attempt_id: "before"}
    untouched = JobAttempt.objects.get(pk=lost.attempt_id)
    assert (untouched.log_cursor, untouched.log_bytes) == ("1", 6)


def test_any_bytes_come_back_as_they_were(claim: Claim) -> None:
    everything = bytes(range(256)) * 4 + b"\x00\xff\xfe\xc3"
    store(OutputWriter(claim.attempt_id), claim.worker, batch(everything, "größer\n".encode()))
    assert payload([data for _, data in rows(claim.attempt_id)]) == everything + "größer\n".encode()
    assert claim.job.output(stream="stdout").startswith("\x00\x01")
    assert "\N{REPLACEMENT CHARACTER}" in claim.job.output(stream="stdout")
    assert claim.job.output(stream="stderr") == "größer\n"


def test_a_character_cut_by_a_batch_is_whole_again(claim: Claim) -> None:
    writer = OutputWriter(claim.attempt_id)
    first, second = "ü".encode()[:1], "ü".encode()[1:]
    store(writer, claim.worker, LogBatch((LogEntry(Stream.STDOUT, first),), "1"))
    store(writer, claim.worker, LogBatch((LogEntry(Stream.STDOUT, second),), "2"))
    assert claim.job.output() == "ü"


def test_what_was_left_out_is_said_where_it_is_missing(claim: Claim) -> None:
    with override_settings(CONTAINER_MANAGER={"LOG_MAX_BYTES": 32_768}):
        writer = OutputWriter(claim.attempt_id)
        for number in range(100):
            store(writer, claim.worker, batch(f"{number:>999}\n".encode()))
    attempt = JobAttempt.objects.get(pk=claim.attempt_id)
    assert attempt.log_bytes == 100_000
    before, _, after = claim.job.output().partition(f"\n[... {attempt.log_bytes_left_out} bytes left out ...]\n")
    assert before.split()[:2] == ["0", "1"]
    assert after.split()[-1] == "99"
    assert len(before) + len(after) + attempt.log_bytes_left_out == 100_000


def test_the_output_of_the_last_attempt_is_the_jobs(host: ExecutorHost) -> None:
    [first] = claims(host)
    store(OutputWriter(first.attempt_id), first.worker, batch(b"first"))
    first.job.transition_to("failed")
    queue_manager.retry_job(first.job)
    [second] = claiming.claim(host, uuid7(), queue="default", limit=1, using="default")
    assert second.job.output() == ""
    store(OutputWriter(second.attempt_id), second.worker, batch(b"second"))
    assert first.job.output() == "second"
