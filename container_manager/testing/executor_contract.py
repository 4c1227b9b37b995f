"""
The behaviour suite of executors: one class, which every executor passes against its real engine.

Subclass ``ExecutorContract`` in a test module, say how to make the executor, and pytest runs the
rest. Programs are given to ``sh -c``; an executor without a shell overrides ``Programs``.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import pytest

from container_manager.exceptions import (
    ExecutionNotFoundError,
    ExecutionRunningError,
    ExecutorUnavailableError,
    NameConflictError,
    SpecificationError,
)
from container_manager.executors.base import Executor
from container_manager.specs import ExecutionState, Handle, JobSpec, LogEntry, Observation, Stream
from container_manager.states import Outcome
from container_manager.testing.programs import Command, Programs


class ExecutorContract:
    """What every executor does. Each test makes its executions under an installation of its own."""

    programs: ClassVar[Programs] = Programs()
    image: ClassVar[str] = ""
    has_signals: ClassVar[bool] = True
    """Do programs get real signals, and may they have children?"""
    tells_streams_apart: ClassVar[bool] = True
    """Or is all output told as standard output, as on an engine that keeps one log for both?"""

    rounds: ClassVar[int] = 10
    """How often two calls that race are tried."""
    patience_seconds: ClassVar[float] = 30.0
    """How long at most an execution may take to begin and to end, on a busy machine."""

    def make_executor(self, installation: str) -> Executor:
        """An executor of the engine under test."""
        raise NotImplementedError

    def make_unreachable_executor(self) -> Executor:
        """An executor whose engine does not answer."""
        raise NotImplementedError

    @pytest.fixture
    def installation(self) -> str:
        return uuid.uuid4().hex[:8]

    @pytest.fixture
    def executor(self, installation: str) -> Iterator[Executor]:
        """The executor; whatever a test leaves behind is stopped and removed."""
        executor = self.make_executor(installation)
        yield executor
        left = [observation.handle for observation in executor.observe()]
        for handle in left:
            executor.stop(handle, 0)
        for handle in left:
            self.remove_when_ended(executor, handle)
        executor.close()

    def spec(self, installation: str, command: Command, **changes: Any) -> JobSpec:
        values: dict[str, Any] = {"job_id": uuid.uuid4(), "attempt": 1, "image": self.image, **changes}
        return JobSpec(installation=installation, command=command, **values)

    def launch(self, executor: Executor, command: Command, **changes: Any) -> Handle:
        handle = executor.create(self.spec(executor.installation, command, **changes))
        executor.start(handle)
        return handle

    def look(self, executor: Executor, handle: Handle) -> Observation:
        [observation] = executor.observe([handle])
        return observation

    def wait_for(self, executor: Executor, handle: Handle, state: ExecutionState, seconds: float = 0.0) -> Observation:
        seconds = max(seconds, self.patience_seconds)
        deadline = time.monotonic() + seconds
        while (seen := self.look(executor, handle)).state is not state:
            assert time.monotonic() < deadline, f"{handle.name} is {seen.state}, not {state}, after {seconds} s"
            time.sleep(0.02)
        return seen

    def run(self, executor: Executor, command: Command, **changes: Any) -> tuple[Observation, dict[Stream, bytes]]:
        handle = self.launch(executor, command, **changes)
        seen = self.wait_for(executor, handle, ExecutionState.EXITED)
        return seen, self.read(executor, handle)

    def read(self, executor: Executor, handle: Handle, limit_bytes: int = 1 << 20) -> dict[Stream, bytes]:
        """All output there is, by stream."""
        parts: dict[Stream, list[bytes]] = {Stream.STDOUT: [], Stream.STDERR: []}
        cursor, has_more = "", True
        while has_more:
            batch = executor.logs(handle, cursor, limit_bytes=limit_bytes)
            for entry in batch.entries:
                parts[entry.stream].append(entry.data)
            cursor, has_more = batch.cursor, batch.has_more
        return {stream: b"".join(pieces) for stream, pieces in parts.items()}

    def wait_until_it_says(self, executor: Executor, handle: Handle, text: bytes) -> None:
        deadline = time.monotonic() + self.patience_seconds
        while text not in self.read(executor, handle)[Stream.STDOUT]:
            assert time.monotonic() < deadline, f"{handle.name} has not said {text!r}"
            time.sleep(0.02)

    def remove_when_ended(self, executor: Executor, handle: Handle) -> None:
        deadline = time.monotonic() + self.patience_seconds
        while True:
            try:
                executor.remove(handle)
                return
            except ExecutionRunningError:
                assert time.monotonic() < deadline, f"{handle.name} does not end"
                time.sleep(0.05)

    # Create and start

    def test_create_has_no_effect_on_the_users_work(self, executor: Executor) -> None:
        handle = executor.create(self.spec(executor.installation, self.programs.exits(0, out="began")))
        seen = self.look(executor, handle)
        assert (seen.state, seen.exit_code, seen.started_at) == (ExecutionState.CREATED, None, None)
        assert self.read(executor, handle)[Stream.STDOUT] == b""

    def test_start_begins_the_work_and_observe_tells_its_end(self, executor: Executor) -> None:
        seen, output = self.run(executor, self.programs.exits(0, out="hello"))
        assert (seen.exit_code, seen.reason) == (0, None)
        assert output == {Stream.STDOUT: b"hello", Stream.STDERR: b""}
        assert seen.started_at is not None
        assert seen.finished_at is not None
        assert seen.started_at.tzinfo is not None
        assert seen.started_at <= seen.finished_at

    def test_an_observation_names_its_job_and_attempt(self, executor: Executor) -> None:
        spec = self.spec(executor.installation, self.programs.exits(0), attempt=7)
        seen = self.look(executor, executor.create(spec))
        assert (seen.handle.name, seen.job_id, seen.attempt) == (spec.name, spec.job_id, 7)
        assert seen.installation == executor.installation

    def test_create_and_start_are_idempotent_under_one_name(self, executor: Executor) -> None:
        spec = self.spec(executor.installation, self.programs.exits(3, out="once"))
        first = executor.create(spec)
        assert executor.create(spec).name == first.name
        executor.start(first)
        executor.start(first)
        seen = self.wait_for(executor, first, ExecutionState.EXITED)
        executor.start(first)
        assert executor.create(spec).name == first.name
        assert self.look(executor, first).finished_at == seen.finished_at
        assert self.read(executor, first)[Stream.STDOUT] == b"once"

    def test_eight_threads_that_create_and_start_one_name_run_it_once(self, executor: Executor) -> None:
        spec = self.spec(executor.installation, self.programs.exits(0, out="once"))

        def launch(_: int) -> Handle:
            handle = executor.create(spec)
            executor.start(handle)
            return handle

        with ThreadPoolExecutor(8) as pool:
            handles = list(pool.map(launch, range(8)))
        self.wait_for(executor, handles[0], ExecutionState.EXITED)
        assert self.read(executor, handles[0])[Stream.STDOUT] == b"once"
        assert len(executor.observe()) == 1

    def test_a_fresh_executor_adopts_by_name_alone(self, executor: Executor) -> None:
        launched = self.launch(executor, self.programs.waits())
        other = self.make_executor(executor.installation)
        handle = Handle(launched.name)
        assert self.look(other, handle).state is ExecutionState.RUNNING
        self.wait_until_it_says(other, handle, b"began")
        other.stop(handle, 10)
        assert self.wait_for(other, handle, ExecutionState.EXITED).exit_code == 143
        other.remove(handle)
        assert executor.observe() == []
        other.close()

    def test_a_name_with_another_specification_is_a_conflict(self, executor: Executor) -> None:
        spec = self.spec(executor.installation, self.programs.exits(0))
        executor.create(spec)
        with pytest.raises(NameConflictError):
            executor.create(self.spec(spec.installation, self.programs.exits(5), job_id=spec.job_id))

    # Exit codes

    @pytest.mark.parametrize("code", [0, 1, 3, 126, 127, 137, 143])
    def test_the_programs_own_exit_code_is_kept(self, executor: Executor, code: int) -> None:
        seen, _ = self.run(executor, self.programs.exits(code))
        assert (seen.exit_code, seen.reason) == (code, None)

    def test_a_program_killed_by_a_signal_has_128_and_its_number(self, executor: Executor) -> None:
        if not self.has_signals:
            pytest.skip("this executor has no signals")
        seen, _ = self.run(executor, self.programs.kills_itself(9))
        assert (seen.exit_code, seen.reason) == (137, None)

    def test_a_program_that_does_not_exist_is_a_configuration_error(self, executor: Executor) -> None:
        handle = executor.create(self.spec(executor.installation, self.programs.missing()))
        try:
            executor.start(handle)
        except SpecificationError as error:
            assert not error.transient  # noqa: PT017 - either answer is right
            assert self.look(executor, handle).state is ExecutionState.CREATED
        else:
            seen = self.wait_for(executor, handle, ExecutionState.EXITED)
            assert (seen.exit_code, seen.reason) == (127, Outcome.CONFIG_ERROR)
            assert seen.error or not self.has_signals

    # Output

    def test_both_streams_are_kept_apart(self, executor: Executor) -> None:
        _, output = self.run(executor, self.programs.exits(1, out="to out", err="to err"))
        if self.tells_streams_apart:
            assert output == {Stream.STDOUT: b"to out", Stream.STDERR: b"to err"}
        else:
            assert output[Stream.STDERR] == b""
            assert output[Stream.STDOUT] in (b"to outto err", b"to errto out")

    def test_output_is_in_order_and_read_live_without_loss_or_repetition(self, executor: Executor) -> None:
        if not self.has_signals:
            pytest.skip("this executor's programs do not take time to speak")
        handle = self.launch(executor, self.programs.speaks(20))
        entries: list[LogEntry] = []
        cursor, is_over = "", False
        while True:
            batch = executor.logs(handle, cursor, limit_bytes=64)
            entries += batch.entries
            cursor = batch.cursor
            if is_over and not batch.has_more:
                break
            is_over = is_over or self.look(executor, handle).state is ExecutionState.EXITED
        if not self.tells_streams_apart:
            lines = b"".join(entry.data for entry in entries).decode().splitlines()
            assert [line for line in lines if line.startswith("out")] == [f"out {number}" for number in range(20)]
            assert [line for line in lines if line.startswith("err")] == [f"err {number}" for number in range(20)]
            return
        out = b"".join(entry.data for entry in entries if entry.stream is Stream.STDOUT)
        err = b"".join(entry.data for entry in entries if entry.stream is Stream.STDERR)
        assert out.decode().split("\n") == [*(f"out {number}" for number in range(20)), ""]
        assert err.decode().split("\n") == [*(f"err {number}" for number in range(20)), ""]
        assert [entry.stream for entry in entries][:4] == [Stream.STDOUT, Stream.STDERR] * 2

    def test_ten_megabytes_of_output_are_complete(self, executor: Executor) -> None:
        size = 10 * 1024 * 1024
        handle = self.launch(executor, self.programs.floods(size))
        self.wait_for(executor, handle, ExecutionState.EXITED, seconds=60)
        output = self.read(executor, handle)[Stream.STDOUT]
        assert len(output) == size
        assert output.count(b"x") == size

    def test_a_read_is_bounded(self, executor: Executor) -> None:
        handle = self.launch(executor, self.programs.floods(1024 * 1024))
        self.wait_for(executor, handle, ExecutionState.EXITED)
        batch = executor.logs(handle, limit_bytes=10_000)
        assert batch.has_more
        assert sum(len(entry.data) for entry in batch.entries) < 200_000

    # What a job finds

    def test_the_environment_arrives_byte_for_byte(self, executor: Executor) -> None:
        values = {"QUOTES": 'it\'s "quoted" $HOME `x`', "LINES": "one\ntwo", "UNICODE": "grüße 🚀", "EMPTY": ""}
        _, output = self.run(executor, self.programs.shows(*values), environment=values)
        assert output[Stream.STDOUT].decode() == "".join(f"{value}\n" for value in values.values())

    def test_a_job_knows_its_id_and_attempt(self, executor: Executor) -> None:
        job_id = uuid.uuid4()
        _, output = self.run(executor, self.programs.shows("CM_JOB_ID", "CM_ATTEMPT"), job_id=job_id, attempt=4)
        assert output[Stream.STDOUT].decode() == f"{job_id}\n4\n"

    def test_nothing_of_the_workers_environment_is_in_the_jobs(
        self, executor: Executor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PLANTED_SECRET", "must not be seen")
        _, output = self.run(executor, self.programs.shows("PLANTED_SECRET", "DJANGO_SETTINGS_MODULE"))
        assert output[Stream.STDOUT] == b"\n\n"

    def test_the_working_directory_is_the_jobs(self, executor: Executor) -> None:
        _, output = self.run(executor, self.programs.shows_working_directory(), working_directory="/tmp")  # noqa: S108
        assert output[Stream.STDOUT] == b"/tmp\n"

    # Stop

    def test_a_program_that_obeys_ends_by_sigterm_before_its_grace_is_over(self, executor: Executor) -> None:
        handle = self.launch(executor, self.programs.waits())
        self.wait_until_it_says(executor, handle, b"began")
        executor.stop(handle, 30)
        assert self.wait_for(executor, handle, ExecutionState.EXITED).exit_code == 143

    def test_a_program_that_does_not_obey_is_killed_after_its_grace(self, executor: Executor) -> None:
        handle = self.launch(executor, self.programs.ignores_term())
        self.wait_until_it_says(executor, handle, b"began")
        asked = time.monotonic()
        executor.stop(handle, 1)
        assert self.wait_for(executor, handle, ExecutionState.EXITED).exit_code == 137
        assert time.monotonic() - asked >= 0.9

    def test_stopping_what_has_ended_or_is_unknown_is_no_error(self, executor: Executor) -> None:
        handle = self.launch(executor, self.programs.exits(0))
        self.wait_for(executor, handle, ExecutionState.EXITED)
        executor.stop(handle, 1)
        assert self.look(executor, handle).exit_code == 0
        executor.stop(Handle(self.spec(executor.installation, ()).name), 1)

    # Observe and remove

    def test_observe_answers_for_some_or_for_all_of_the_installation(self, executor: Executor) -> None:
        handles = [executor.create(self.spec(executor.installation, self.programs.exits(0))) for _ in range(3)]
        stranger = self.make_executor(uuid.uuid4().hex[:8])
        theirs = stranger.create(self.spec(stranger.installation, self.programs.exits(0)))
        try:
            unknown = Handle(self.spec(executor.installation, ()).name)
            assert {seen.handle.name for seen in executor.observe([*handles[:2], unknown])} == {
                handle.name for handle in handles[:2]
            }
            assert {seen.handle.name for seen in executor.observe()} == {handle.name for handle in handles}
            assert {seen.handle.name for seen in stranger.observe()} == {theirs.name}
            assert executor.observe([]) == []
        finally:
            stranger.remove(theirs)
            stranger.close()

    def test_a_running_execution_is_not_removed(self, executor: Executor) -> None:
        handle = self.launch(executor, self.programs.waits())
        for remove in (executor.remove, executor.discard):
            with pytest.raises(ExecutionRunningError):
                remove(handle)
        assert self.look(executor, handle).state is ExecutionState.RUNNING

    def test_what_has_ended_or_never_began_is_removed(self, executor: Executor) -> None:
        ended = self.launch(executor, self.programs.exits(0))
        self.wait_for(executor, ended, ExecutionState.EXITED)
        created, other = (executor.create(self.spec(executor.installation, self.programs.exits(0))) for _ in range(2))
        with pytest.raises(ExecutionRunningError):
            executor.discard(ended)
        for remove, handle in ((executor.discard, other), (executor.remove, ended), (executor.remove, created)) * 2:
            remove(handle)
        assert executor.observe() == []

    def test_a_late_start_of_a_removed_execution_starts_nothing(self, executor: Executor) -> None:
        handle = executor.create(self.spec(executor.installation, self.programs.exits(0)))
        executor.remove(handle)
        with pytest.raises(ExecutionNotFoundError):
            executor.start(handle)
        assert executor.observe() == []

    def test_a_start_that_races_with_a_removal_has_one_winner(self, executor: Executor) -> None:
        for _ in range(self.rounds):
            handle = executor.create(self.spec(executor.installation, self.programs.waits()))

            def start(handle: Handle = handle) -> bool:
                try:
                    executor.start(handle)
                except ExecutionNotFoundError:
                    return False
                return True

            def remove(handle: Handle = handle) -> bool:
                try:
                    executor.remove(handle)
                except ExecutionRunningError:
                    return False
                return True

            with ThreadPoolExecutor(2) as pool:
                started, removed = pool.submit(start), pool.submit(remove)
            assert started.result() != removed.result()
            assert bool(executor.observe([handle])) == started.result()

    def test_the_output_of_an_unknown_execution_is_an_error(self, executor: Executor) -> None:
        with pytest.raises(ExecutionNotFoundError):
            executor.logs(Handle(self.spec(executor.installation, ()).name))

    # The engine

    def test_check_identifies_the_engine(self, executor: Executor) -> None:
        health = executor.check()
        assert health.engine_id
        other = self.make_executor(executor.installation)
        assert other.check().engine_id == health.engine_id
        other.close()

    def test_an_engine_that_does_not_answer_is_a_transient_error(self) -> None:
        executor = self.make_unreachable_executor()
        spec = self.spec(executor.installation, self.programs.exits(0))
        handle = Handle(spec.name)
        for call in (
            lambda: executor.create(spec),
            lambda: executor.observe(),
            lambda: executor.check(),
            lambda: executor.start(handle),
        ):
            with pytest.raises(ExecutorUnavailableError) as caught:
                call()
            assert caught.value.transient
