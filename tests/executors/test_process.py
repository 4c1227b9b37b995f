"""The process executor passes the contract, and is refused where it would be unsafe."""

from __future__ import annotations

import os
import signal
import uuid
from pathlib import Path

import pytest
from django.core.exceptions import ValidationError
from django.test import override_settings

from container_manager.exceptions import ConfigurationError, SpecificationError
from container_manager.executors import executor_class
from container_manager.executors.process import ProcessExecutor
from container_manager.executors.process.store import Execution, Store
from container_manager.specs import ExecutionState, JobSpec
from container_manager.states import Outcome
from container_manager.testing.executor_contract import ExecutorContract
from tests.processes import wait_until


class TestProcess(ExecutorContract):
    @pytest.fixture(autouse=True)
    def state_directory(self, tmp_path: Path) -> None:
        self.directory = tmp_path

    def make_executor(self, installation: str) -> ProcessExecutor:
        return ProcessExecutor({"state_directory": str(self.directory / "state")}, installation=installation)

    def make_unreachable_executor(self) -> ProcessExecutor:
        blocked = self.directory / "a file"
        blocked.touch()
        return ProcessExecutor({"state_directory": str(blocked)}, installation="none")

    def test_a_program_outlives_its_launcher_and_takes_its_children_along(self, executor: ProcessExecutor) -> None:
        marker = uuid.uuid4().hex
        handle = self.launch(executor, ("sh", "-c", f"setsid sleep 61 {marker} & sleep 0.2; exit 6"))
        assert self.wait_for(executor, handle, ExecutionState.EXITED).exit_code == 6
        assert not [entry for entry in Path("/proc").glob("[0-9]*/cmdline") if marker.encode() in _read(entry)]

    def test_a_killed_supervisor_is_lost_and_its_program_ended(self, executor: ProcessExecutor) -> None:
        handle = self.launch(executor, self.programs.waits())
        self.wait_until_it_says(executor, handle, b"began")
        execution = Execution(Store(executor._store.root), handle.name)
        supervisor, child = execution.read("supervisor.json"), execution.read("child.json")
        assert supervisor
        assert child
        os.kill(supervisor["pid"], signal.SIGKILL)
        seen = self.wait_for(executor, handle, ExecutionState.EXITED)
        assert (seen.reason, seen.exit_code) == (Outcome.LOST, None)
        command = Path(f"/proc/{child['pid']}/cmdline")
        wait_until(lambda: b"sleep" not in _read(command), what="the end of its program")

    def test_a_starter_that_died_before_the_program_began_is_told_from_a_loss(self, executor: ProcessExecutor) -> None:
        handle = executor.create(self.spec(executor.installation, self.programs.exits(0)))
        (Path(executor._store.root) / handle.name / "ready").rename(
            Path(executor._store.root) / handle.name / "started"
        )
        seen = self.look(executor, handle)
        assert (seen.state, seen.reason) == (ExecutionState.EXITED, Outcome.INFRA_ERROR)

    @pytest.mark.parametrize("field", ["user", "network", "gpus"])
    def test_what_it_cannot_do_is_refused(self, executor: ProcessExecutor, field: str) -> None:
        with pytest.raises(SpecificationError, match=field):
            executor.create(self.spec(executor.installation, ("true",), **{field: "some"}))

    def test_a_job_without_a_command_is_refused(self, executor: ProcessExecutor) -> None:
        with pytest.raises(SpecificationError, match="command"):
            executor.create(JobSpec(installation="x", job_id=uuid.uuid4(), attempt=1))

    @override_settings(DEBUG=False, CONTAINER_MANAGER={})
    def test_it_is_refused_without_debug_or_permission(self) -> None:
        executor = self.make_executor("none")
        with pytest.raises(ConfigurationError, match="ALLOW_PROCESS_EXECUTOR"):
            executor.check()
        with pytest.raises(ConfigurationError, match="ALLOW_PROCESS_EXECUTOR"):
            executor.create(self.spec("none", ("true",)))

    def test_an_unknown_option_names_the_nearest(self) -> None:
        with pytest.raises(ValidationError, match="state_directory"):
            executor_class("process").validate_options({"state_dir": "/somewhere"})


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
