"""Output: every byte once, in order, each stream apart, whatever the size of the batches."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from container_manager.exceptions import ExecutionNotFoundError, ExecutorError
from container_manager.executors.docker import DockerExecutor
from container_manager.specs import ExecutionState, Handle
from tests.executors.docker.running import output, run, shell

pytestmark = pytest.mark.docker


@contextmanager
def running(executor: DockerExecutor, script: str) -> Iterator[Handle]:
    handle = executor.create(shell(executor, script))
    executor.start(handle)
    yield handle


@pytest.mark.parametrize(
    "script",
    [
        "printf 'no newline at the end'",
        "echo; echo; printf 'a\\r\\nb\\tc'; echo ' ä€😀'",
        "head -c 16384 /dev/zero | tr '\\0' x; echo; echo next",
        "head -c 100000 /dev/zero | tr '\\0' x",
        "head -c 5000 /dev/zero",
        "for i in $(seq 500); do echo out $i; echo error $i >&2; done",
        "head -c 70000 /dev/zero | tr '\\0' o; echo middle >&2; head -c 70000 /dev/zero | tr '\\0' e >&2; echo end",
    ],
)
@pytest.mark.parametrize("limit_bytes", [1, 20_000, 1 << 20])
def test_the_output_is_read_byte_for_byte(executor: DockerExecutor, script: str, limit_bytes: int) -> None:
    if limit_bytes == 1 and "seq" in script:
        script = script.replace("500", "20")
    expected = subprocess.run(["busybox", "sh", "-c", script], capture_output=True, check=True)
    handle = run(executor, shell(executor, script)).handle
    assert output(executor, handle, limit_bytes) == {"stdout": expected.stdout, "stderr": expected.stderr}


@pytest.mark.slow
@pytest.mark.parametrize("line", ["x" * 120, ""])
def test_ten_megabytes_are_read_byte_for_byte(executor: DockerExecutor, line: str) -> None:
    script = f"yes {line} | head -c 10000000" if line else "yes 0123456789 | tr -d '\\n' | head -c 10000000"
    expected = subprocess.run(["busybox", "sh", "-c", script], capture_output=True, check=True)
    handle = run(executor, shell(executor, script)).handle
    assert output(executor, handle) == {"stdout": expected.stdout, "stderr": b""}


def test_output_read_while_it_is_written_has_no_gap_and_no_repetition(executor: DockerExecutor) -> None:
    script = "for i in $(seq 150); do head -c 20000 /dev/zero | tr '\\0' x; echo $i >&2; echo; done"
    streams = {"stdout": b"", "stderr": b""}
    with running(executor, script) as handle:
        cursor, has_more, is_over = "", True, False
        while has_more or not is_over:
            is_over = executor.observe([handle])[0].state is ExecutionState.EXITED
            batch = executor.logs(handle, cursor, limit_bytes=50_000)
            for entry in batch.entries:
                streams[entry.stream] += entry.data
            cursor, has_more = batch.cursor, batch.has_more
    assert streams["stdout"] == (b"x" * 20_000 + b"\n") * 150
    assert streams["stderr"].split() == [b"%d" % number for number in range(1, 151)]


def test_a_batch_stays_near_its_limit(executor: DockerExecutor) -> None:
    handle = run(executor, shell(executor, "yes | head -c 200000")).handle
    batch = executor.logs(handle, limit_bytes=10_000)
    assert batch.has_more
    assert 0 < sum(len(entry.data) for entry in batch.entries) <= 10_000
    again = executor.logs(handle, batch.cursor, limit_bytes=10_000)
    assert again.has_more
    assert 0 < sum(len(entry.data) for entry in again.entries) <= 10_000


def test_each_entry_has_the_engines_time(executor: DockerExecutor) -> None:
    seen = run(executor, shell(executor, "echo hello"))
    (entry,) = executor.logs(seen.handle).entries
    assert entry.at is not None
    assert seen.created_at is not None
    assert seen.finished_at is not None
    assert seen.created_at <= entry.at
    assert (entry.at - seen.finished_at).total_seconds() < 5


def test_reading_on_after_the_end_gives_nothing_more(executor: DockerExecutor) -> None:
    handle = run(executor, shell(executor, "echo hello")).handle
    cursor = executor.logs(handle).cursor
    after = executor.logs(handle, cursor)
    assert (after.entries, after.cursor, after.has_more) == ((), cursor, False)


def test_what_was_never_started_has_no_output(executor: DockerExecutor) -> None:
    assert executor.logs(executor.create(shell(executor, "echo hello"))).entries == ()


def test_the_output_of_an_unknown_execution_is_not_found(executor: DockerExecutor) -> None:
    with pytest.raises(ExecutionNotFoundError):
        executor.logs(Handle("cm-nobody-1"))


def test_a_cursor_of_something_else_is_refused(executor: DockerExecutor) -> None:
    with pytest.raises(ExecutorError, match="no cursor"):
        executor.logs(Handle("cm-nobody-1"), "yesterday")
