"""Log lines for what happens to jobs, with ``job``, ``attempt``, ``verb`` and ``actor`` as extra fields."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Final

from container_manager.lifecycle import Subject
from container_manager.states import Verb

logger = logging.getLogger("container_manager.jobs")

_LEVELS: Final = {Verb.FAIL: logging.WARNING, Verb.RETRY: logging.WARNING, Verb.RESCUE: logging.WARNING}
_QUIET: Final = logging.INFO


def log_moves(*, subjects: Sequence[Subject], verb: Verb, status: str, actor: str, message: str, **_: Any) -> None:
    """Receiver of ``jobs_moved``."""
    level = _LEVELS.get(verb, _QUIET)
    if not logger.isEnabledFor(level):
        return
    for job_id, attempt in subjects:
        fields = {"job": str(job_id), "attempt": attempt, "verb": verb.value, "actor": actor}
        if message:
            logger.log(level, "job %s: %s, now %s: %s", job_id, verb.value, status, message, extra=fields)
        else:
            logger.log(level, "job %s: %s, now %s", job_id, verb.value, status, extra=fields)
