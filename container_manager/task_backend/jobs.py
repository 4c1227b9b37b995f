"""Tasks as rows: the job that runs one, and what a job says of its task."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from django.core import checks

from container_manager import conf
from container_manager.models import ContainerJob
from container_manager.queue import queue_manager
from container_manager.task_backend.calls import TaskCall, job_priority
from container_manager.task_backend.compat import (
    InvalidTask,
    Task,
    TaskResult,
    TaskResultDoesNotExist,
    task_enqueued,
)
from container_manager.task_backend.results import task_result

if TYPE_CHECKING:
    from container_manager.task_backend.backend import ContainerTaskBackend

RUNNER: Final = "container_manager.task_backend.run"
CALL_VARIABLE: Final = "CM_TASK"
LONGEST_CALL: Final = 100_000
"""Bytes of a call that is handed over as a variable: Linux takes 128 KiB of each."""
COLUMNS: Final = (
    "image", "environment", "working_directory", "memory_limit", "cpu_limit", "timeout_seconds",
    "queue_timeout_seconds", "labels", "user", "network", "gpus", "max_retries", "retry_policy", "on_lost",
)  # fmt: skip
OPTIONS: Final = (*COLUMNS, "python", "results")
RESULTS: Final = ("database", "output")


class TaskJobs:
    """The jobs of one backend."""

    def __init__(self, backend: ContainerTaskBackend) -> None:
        self._backend = backend
        self._options: dict[str, Any] = backend.options

    def enqueue(self, task: Task, args: Any, kwargs: Any) -> TaskResult:
        """See ``ContainerTaskBackend.enqueue``."""
        call = TaskCall.of(task, args, kwargs, through_output=self._options.get("results") == "output")
        job = self._job(call)
        job.scheduled_for = task.run_after
        queue_manager.queue_job(job)
        result = task_result(job, call)
        task_enqueued.send(type(self._backend), task_result=result)
        return result

    def result(self, result_id: str) -> TaskResult:
        """See ``ContainerTaskBackend.get_result``."""
        try:
            job_id = UUID(result_id)
        except (ValueError, AttributeError, TypeError):
            raise TaskResultDoesNotExist(result_id) from None
        job = ContainerJob.objects.using(queue_manager.using).filter(pk=job_id).first()
        call = TaskCall.from_parameters(job.parameters) if job else None
        if job is None or call is None or call.backend != self._backend.alias:
            raise TaskResultDoesNotExist(result_id)
        return task_result(job, call)

    def check(self) -> Iterator[checks.CheckMessage]:
        """See ``ContainerTaskBackend.check``."""
        where = f"TASKS[{self._backend.alias!r}]['OPTIONS']"
        for name in self._options:
            if name not in OPTIONS:
                near = get_close_matches(str(name), OPTIONS, n=1)
                hint = f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(OPTIONS)}."
                yield checks.Error(f"{where} has an unknown option {name!r}.", hint=hint, id="container_manager.E020")
        if self._options.get("results", "database") not in RESULTS:
            yield checks.Error(f"{where}['results'] must be one of {', '.join(RESULTS)}.", id="container_manager.E021")
        columns = {name: value for name, value in self._options.items() if name in COLUMNS}
        for name, problems in ContainerJob(command=["true"], **columns).specification_problems().items():
            yield checks.Error(f"{where}[{name!r}]: {' '.join(problems)}", id="container_manager.E022")

    def _job(self, call: TaskCall) -> ContainerJob:
        options = self._options
        columns = {name: options[name] for name in COLUMNS if name in options}
        environment = {**_settings_module(), **options.get("environment", {})}
        if call.through_output:
            environment[CALL_VARIABLE] = _as_variable(call)
        # Without an image it can only be a local process, and those inherit nothing: so, this project's own.
        has_image = bool(options.get("image") or conf.get("DEFAULT_IMAGE"))
        python = options.get("python") or ("python" if has_image else sys.executable)
        columns.setdefault("working_directory", "" if has_image else os.getcwd())
        job = ContainerJob(
            name=call.path[-200:], queue=call.queue_name, priority=job_priority(call.priority),
            parameters=call.parameters(), **{**columns, "environment": environment},
        )  # fmt: skip
        job.command = [python, "-m", RUNNER, str(job.pk)]
        return job


def _settings_module() -> dict[str, str]:
    module = os.environ.get("DJANGO_SETTINGS_MODULE")
    return {"DJANGO_SETTINGS_MODULE": module} if module else {}


def _as_variable(call: TaskCall) -> str:
    text = json.dumps(call.parameters())
    if len(text) > LONGEST_CALL:
        raise InvalidTask(
            f"The arguments take {len(text):,} bytes; with results='output' at most {LONGEST_CALL:,} can be handed "
            "over. Pass a reference to the data instead."
        )
    return text
