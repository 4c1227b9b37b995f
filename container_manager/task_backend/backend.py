"""The backend itself: what Django calls. Models are met in ``jobs`` only, since tasks are declared before they load."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from django.core import checks

from container_manager.task_backend.compat import BaseTaskBackend, InvalidTask, Task, TaskResult
from container_manager.validation import queue_problems

if TYPE_CHECKING:
    from container_manager.task_backend.jobs import TaskJobs


class ContainerTaskBackend(BaseTaskBackend):
    """
    Tasks as jobs of the queue: enqueued in the caller's transaction, run in a container each.

    ``OPTIONS`` are columns of the job (``image``, ``memory_limit``, ``timeout_seconds``, ...), ``python``,
    the interpreter in the container, and ``results``: ``"database"`` or ``"output"``.
    """

    supports_defer = True
    supports_async_task = True
    supports_get_result = True
    supports_priority = True

    def validate_task(self, task: Task) -> None:
        """``InvalidTask`` also for a queue's name that no job can have, and for a function of a script."""
        super().validate_task(task)
        if problems := queue_problems(task.queue_name):
            raise InvalidTask(problems[0])
        if task.func.__module__ == "__main__":
            raise InvalidTask(f"{task.func.__name__} is defined in a script: move it to a module of the project.")

    def enqueue(self, task: Task, args: Any, kwargs: Any) -> TaskResult:
        """
        A job that runs ``task`` is in the queue, as part of the caller's transaction.

        ``TypeError`` or ``ValueError`` for arguments that are no JSON; else as ``queue_job`` raises.
        """
        self.validate_task(task)
        return self._jobs.enqueue(task, args, kwargs)

    def get_result(self, result_id: str) -> TaskResult:
        """What is known of it now; ``TaskResultDoesNotExist`` for an id that is none of this backend's."""
        return self._jobs.result(result_id)

    def check(self, **kwargs: Any) -> list[checks.CheckMessage]:
        """What is wrong with ``OPTIONS``."""
        return [*super().check(**kwargs), *self._jobs.check()]

    @property
    def _jobs(self) -> TaskJobs:
        jobs: type[TaskJobs] = import_module("container_manager.task_backend.jobs").TaskJobs
        return jobs(self)
