"""The call of a task, as its job keeps it and as its container is handed it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from typing import Any, Final

from django.utils.module_loading import import_string

from container_manager.task_backend.compat import Task, normalize_json, task_backends

KEY: Final = "task"
"""Under which a job's ``parameters`` hold the call."""
_NUL: Final = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskCall:
    """Which function, with what, and the properties that its ``Task`` had when it was enqueued."""

    path: str
    backend: str
    queue_name: str
    priority: int
    takes_context: bool
    through_output: bool
    """Whether its result travels through the output, since its container does not reach the database."""
    args: list[Any]
    kwargs: dict[str, Any]

    @classmethod
    def of(cls, task: Task, args: Any, kwargs: Any, *, through_output: bool) -> TaskCall:
        """``TypeError`` or ``ValueError`` for arguments that are no JSON."""
        return cls(
            path=task.module_path, backend=task.backend, queue_name=task.queue_name, priority=task.priority,
            takes_context=task.takes_context, through_output=through_output,
            args=storable(list(args)), kwargs=storable(dict(kwargs)),
        )  # fmt: skip

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, Any]) -> TaskCall | None:
        """The call that a job's ``parameters`` hold; ``None`` = the job is no task."""
        values = parameters.get(KEY)
        if not isinstance(values, dict) or values.keys() != {field.name for field in fields(cls)}:
            return None
        return cls(**values)

    def parameters(self) -> dict[str, Any]:
        return {KEY: asdict(self)}

    def task(self, run_after: datetime | None = None) -> Task:
        """
        The ``Task`` that was enqueued. ``ImportError`` when its function is no longer where it was.

        A function counts that was made a task under another name of its module.
        """
        found = import_string(self.path)
        base = found if isinstance(found, Task) else task_backends[self.backend].task_class(func=found)
        return replace(
            base, backend=self.backend, queue_name=self.queue_name, priority=self.priority,
            takes_context=self.takes_context, run_after=run_after,
        )  # fmt: skip


def job_priority(priority: int) -> int:
    """A task's -100 to 100 on a job's 0 to 100; 0 is 50, the normal one. Order is kept, neighbours share a step."""
    return (priority + 100) // 2


def storable(value: Any) -> Any:
    """
    ``value`` as it will be after its way through JSON.

    ``TypeError`` for what JSON has no form of, ``ValueError`` for what some database refuses: NUL,
    lone surrogates, NaN and infinity.
    """
    text = json.dumps(normalize_json(value), allow_nan=False, ensure_ascii=False)
    text.encode()
    if _NUL.search(text):
        raise ValueError("A NUL character cannot be stored by every database: remove it.")
    return json.loads(text)
