"""The fake executor passes the contract, so that what it scripts is what engines do."""

from __future__ import annotations

from typing import ClassVar

import pytest
from django.core.exceptions import ValidationError

from container_manager.exceptions import ImageNotFoundError
from container_manager.executors.fake import FakeExecutor, Script, engine
from container_manager.specs import ExecutionState
from container_manager.states import Outcome
from container_manager.testing.executor_contract import ExecutorContract
from container_manager.testing.programs import Command, Programs


class Scripts(Programs):
    """The suite's programs, as scripts."""

    def script(self, script: Script) -> Command:
        return tuple(script.command())

    def exits(self, code: int, *, out: str = "", err: str = "") -> Command:
        return self.script(Script(exit_code=code, stdout=out, stderr=err))

    def waits(self) -> Command:
        return self.script(Script(seconds=None, stdout="began\n"))

    def ignores_term(self) -> Command:
        return self.script(Script(seconds=None, stdout="began\n", ignores_term=True))

    def floods(self, size: int) -> Command:
        return self.script(Script(flood_bytes=size))

    def shows(self, *names: str) -> Command:
        return self.script(Script(show=names))

    def shows_working_directory(self) -> Command:
        return self.script(Script(show=("$PWD",)))

    def missing(self) -> Command:
        return self.script(Script(is_missing=True))


class TestFake(ExecutorContract):
    programs: ClassVar[Programs] = Scripts()
    has_signals = False

    @pytest.fixture(autouse=True)
    def fresh_engine(self) -> None:
        engine("contract").reset()

    def make_executor(self, installation: str) -> FakeExecutor:
        return FakeExecutor({"engine": "contract"}, installation=installation)

    def make_unreachable_executor(self) -> FakeExecutor:
        engine("unreachable").is_reachable = False
        return FakeExecutor({"engine": "unreachable"}, installation="none")

    def test_a_test_scripts_what_jobs_do(self, executor: FakeExecutor) -> None:
        engine("contract").script(lambda spec: Script(exit_code=9) if "special" in spec.command else None)
        assert self.run(executor, ("special",))[0].exit_code == 9
        assert self.run(executor, ("anything", "else"))[0].exit_code == 0

    def test_a_test_finishes_a_running_job(self, executor: FakeExecutor) -> None:
        handle = self.launch(executor, self.programs.waits())
        assert self.look(executor, handle).state is ExecutionState.RUNNING
        engine("contract").finish(handle.name, exit_code=2)
        assert self.look(executor, handle).exit_code == 2
        assert engine("contract").starts == [handle.name]

    def test_a_script_ends_out_of_memory(self, executor: FakeExecutor) -> None:
        seen, _ = self.run(executor, tuple(Script(exit_code=137, reason="oom").command()))
        assert (seen.exit_code, seen.reason) == (137, Outcome.OOM)

    def test_a_script_fails_its_creation(self, executor: FakeExecutor) -> None:
        with pytest.raises(ImageNotFoundError):
            executor.create(self.spec(executor.installation, tuple(Script(create_error="image").command())))

    def test_unknown_options_are_refused(self) -> None:
        with pytest.raises(ValidationError, match="engine"):
            FakeExecutor.validate_options({"engin": "x"})
