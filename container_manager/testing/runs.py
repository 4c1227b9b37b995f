"""What a job does in a test instead of running."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from container_manager import registry
from container_manager.exceptions import ConfigurationError
from container_manager.executors.fake import SIGKILL_CODE, SIGTERM_CODE, Script
from container_manager.models import ContainerJob
from container_manager.services.outputs import RESULT
from container_manager.states import Outcome

_EXIT_CODES: Final[dict[Outcome, int | None]] = {
    Outcome.OK: 0, Outcome.APP_ERROR: 1, Outcome.OOM: SIGKILL_CODE, Outcome.TIMEOUT: SIGTERM_CODE,
    Outcome.CANCELLED: SIGTERM_CODE, Outcome.LOST: None,
}  # fmt: skip
_LAUNCH_ERRORS: Final = {
    Outcome.IMAGE_ERROR: "image", Outcome.CONFIG_ERROR: "specification", Outcome.INFRA_ERROR: "transient",
}  # fmt: skip
"""Outcomes of attempts that do not start."""
_BY_EXIT_CODE: Final = frozenset({Outcome.OK, Outcome.APP_ERROR})


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """
    One attempt of a job: by itself it ends well and leaves every required output file.

    ``files``: content by the names of the definition's outputs; ``None`` = that one is missing.
    ``result``: what it leaves as its result, in JSON's types. ``outcome``: how it ends where the exit code does
    not say it, ``"oom"`` or ``"timeout"`` for example; with ``image_error``, ``config_error`` and ``infra_error`` it
    does not start. ``error``: what the engine says of that.
    """

    exit_code: int | None = None
    stdout: str = ""
    stderr: str = ""
    files: Mapping[str, bytes | str | None] = field(default_factory=dict)
    result: Any = None
    progress: int | None = None
    progress_text: str = ""
    outcome: str = ""
    error: str = ""

    def __post_init__(self) -> None:
        if not self.outcome:
            return
        if self.outcome == Outcome.OUTPUT_ERROR:
            raise ConfigurationError("outcome 'output_error' is a required file that is missing: files={'clip': None}.")
        if self.outcome not in {*_EXIT_CODES, *_LAUNCH_ERRORS}:
            known = ", ".join([*_EXIT_CODES, *_LAUNCH_ERRORS])
            raise ConfigurationError(f"There is no outcome {self.outcome!r}; outcomes are {known}.")
        is_good = not self.exit_code
        if self.exit_code is not None and self.outcome in _BY_EXIT_CODE and is_good != (self.outcome == Outcome.OK):
            raise ConfigurationError(f"Exit code {self.exit_code} is not the outcome {self.outcome!r}; leave one out.")

    def script(self, job: ContainerJob) -> Script:
        """The same for the fake engine. ``ConfigurationError`` for files and results that ``job`` cannot have."""
        outcome = Outcome(self.outcome) if self.outcome else None
        if outcome in _LAUNCH_ERRORS:
            return Script(create_error=_LAUNCH_ERRORS[outcome], error=self.error)
        exit_code = self.exit_code if self.exit_code is not None else _EXIT_CODES[outcome or Outcome.OK]
        return Script(
            exit_code=exit_code,
            stdout=self.stdout + self._progress_line(),
            stderr=self.stderr,
            reason="" if outcome is None or outcome in _BY_EXIT_CODE else outcome,
            error=self.error or ("Its engine lost it." if outcome is Outcome.LOST else ""),
            files=self._files(job, is_good=exit_code == 0),
        )

    def _progress_line(self) -> str:
        if self.progress is None:
            return ""
        newline = "\n" if self.stdout and not self.stdout.endswith("\n") else ""
        return f"{newline}::progress {self.progress} {self.progress_text}\n"

    def _files(self, job: ContainerJob, *, is_good: bool) -> dict[str, bytes | str]:
        outputs = registry.find(job.definition).outputs if registry.is_known(job.definition) else {}
        if unknown := [name for name in self.files if name not in outputs]:
            known = ", ".join(outputs) or "none"
            raise ConfigurationError(f"{_of(job)} leaves no file {unknown[0]!r}; its output files are: {known}.")
        if self.result is not None and not job.definition:
            raise ConfigurationError(f"{_of(job)} can have no result: only jobs of a definition leave one.")
        left = {name: f"content of {name}" for name, output in outputs.items() if output.required and is_good}
        files = {outputs[name].path: content for name, content in {**left, **self.files}.items() if content is not None}
        return files if self.result is None else {**files, RESULT: json.dumps(self.result)}


def _of(job: ContainerJob) -> str:
    return f"The definition {job.definition!r}" if job.definition else f"Job {job.pk}, which has no definition,"
