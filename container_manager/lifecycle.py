"""
The only writer of a job's status: compare-and-set, event and signal in one transaction.

Imports no model: callers hand over their ``Tables``. Rows are always locked in the order
job, then attempt, so that two moves of one job cannot deadlock.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.db import connections, models, transaction

from container_manager import signals
from container_manager.clock import DatabaseNow
from container_manager.conflicts import retry_on_conflict
from container_manager.journal import append_events
from container_manager.states import ACTIVE, TERMINAL, TRANSITIONS, Hold, Status, Verb, sources_of

SYSTEM: Final = "system"


class Tables(NamedTuple):
    """The models whose rows a move touches."""

    jobs: type[models.Model]
    attempts: type[models.Model]
    events: type[models.Model]


class Subject(NamedTuple):
    """A job that is to move, and the attempt its event belongs to (0 = none yet)."""

    job_id: UUID
    attempt: int = 0


Follower = Callable[[str, Sequence[Subject], Verb], None]
_followers: list[Follower] = []


class _PartlyMovedError(Exception):
    """Some of a group had been moved by somebody else; undo, and ask one by one."""


_UNSTARTED: Final[Mapping[str, Any]] = {"launched_at": None, "started_at": None, "finished_at": None, "worker": None}
_IMPLIED: Final[dict[Status, Mapping[str, Any]]] = {
    Status.PENDING: {**_UNSTARTED, "queued_at": None, "scheduled_for": None, "retry_count": 0},
    Status.QUEUED: _UNSTARTED,
    Status.LAUNCHING: {"launched_at": DatabaseNow()},
    Status.RUNNING: {},
    **{status: {"finished_at": DatabaseNow(), "worker": None, "unique_slot": None} for status in TERMINAL},
}
"""Columns that a status implies, unless the caller says otherwise."""
_NO_HOLD: Final[Mapping[str, Any]] = {"hold": Hold.NONE, "hold_until": None, "hold_reason": ""}
_NOT_WAITING: Final[Mapping[str, Any]] = {**_NO_HOLD, "expires_at": None}


def transition(
    tables: Tables,
    jobs: models.QuerySet[Any],
    subjects: Sequence[Subject],
    *,
    to: Status,
    verb: Verb,
    values: Mapping[str, Any] | None = None,
    attempt_values: Mapping[str, Any] | None = None,
    sources: Collection[Status] | None = None,
    actor: str = SYSTEM,
    message: str = "",
    data: Mapping[str, Any] | None = None,
    are_locked: bool = False,
) -> list[Subject]:
    """
    Those of ``subjects`` that ``jobs`` still contains and that may go to ``to`` have gone there.

    Returns exactly those, in order. Each has one event; jobs that leave the active statuses
    have no open attempt left. One guarded UPDATE for the whole group; only when somebody
    moved some of them meanwhile is each asked on its own. Atomic; joins the caller's
    transaction, and without one is tried again after a deadlock. ``jobs`` carries the caller's
    own guard (attempt, worker); ``sources`` narrows the statuses to come from, never widens
    them. ``are_locked``: the caller has locked the rows and seen their status, so all move, and
    no savepoint is spent on the doubt.
    """
    if not subjects:
        return []
    using = jobs.db
    allowed = sources_of(to) if sources is None else sources_of(to) & frozenset(sources)
    written: dict[str, Any] = {**_IMPLIED[to], **_NOT_WAITING, **(values or {}), "status": to}

    def move() -> list[Subject]:
        with transaction.atomic(using=using, savepoint=len(subjects) > 1 and not are_locked):
            moved = jobs.filter(pk__in=[subject.job_id for subject in subjects], status__in=allowed).update(**written)
            if moved < len(subjects):
                if len(subjects) == 1:
                    return []
                raise _PartlyMovedError
            if to not in ACTIVE and allowed & ACTIVE:
                close_attempts(tables, using, subjects, attempt_values or {})
            record(tables, using, subjects, verb, actor=actor, message=message, data=data)
            _follow(using, subjects, verb)
            _announce(tables, using, subjects, verb=verb, status=to, actor=actor, message=message)
        return list(subjects)

    try:
        return move() if connections[using].in_atomic_block else retry_on_conflict(move)
    except _PartlyMovedError:
        singly = partial(
            transition, tables, jobs, to=to, verb=verb, values=values, attempt_values=attempt_values,
            sources=sources, actor=actor, message=message, data=data,
        )  # fmt: skip
        with transaction.atomic(using=using):
            return [moved for subject in subjects for moved in singly([subject])]


def follow(follower: Follower) -> None:
    """
    ``follower(using, subjects, verb)`` is called with every move, in its transaction; once is enough.

    What it writes is committed with the move or not at all; what it raises undoes the move.
    """
    if follower not in _followers:
        _followers.append(follower)


def announce_new(tables: Tables, using: str, subjects: Sequence[Subject], *, verb: Verb, actor: str = SYSTEM) -> None:
    """Rows that were inserted in the status they are in have their event and their signal too."""
    record(tables, using, subjects, verb, actor=actor)
    _follow(using, subjects, verb)
    _announce(tables, using, subjects, verb=verb, status=Status.QUEUED, actor=actor, message="")


def insert_attempts(tables: Tables, using: str, attempts: Iterable[models.Model]) -> None:
    """Open attempts exist; a second one of a job is an IntegrityError on every database."""
    tables.attempts._default_manager.using(using).bulk_create(attempts)


def close_attempts(tables: Tables, using: str, subjects: Sequence[Subject], values: Mapping[str, Any]) -> int:
    """The open attempts of ``subjects`` are finished: their capacity is free again."""
    closed = {"finished_at": DatabaseNow(), "worker": None, **values, "active_job": None}
    open_attempts = tables.attempts._default_manager.using(using)
    return open_attempts.filter(active_job__in=[subject.job_id for subject in subjects]).update(**closed)


def record(
    tables: Tables,
    using: str,
    subjects: Sequence[Subject],
    verb: Verb,
    *,
    actor: str = SYSTEM,
    message: str = "",
    data: Mapping[str, Any] | None = None,
) -> None:
    """One event per subject, appended in the caller's transaction."""
    shared = {"verb": verb, "actor": actor, "message": message, "data": data}
    append_events(tables.jobs, tables.events, using, subjects, shared)


def check_move(source: str, target: str) -> bool:
    """Whether ``TRANSITIONS`` has this edge."""
    return target in TRANSITIONS[Status(source)]


def _follow(using: str, subjects: Sequence[Subject], verb: Verb) -> None:
    for follower in _followers:
        follower(using, subjects, verb)


def _announce(
    tables: Tables, using: str, subjects: Sequence[Subject], *, verb: Verb, status: Status, actor: str, message: str
) -> None:
    per_job = signals.BY_VERB.get(verb)
    if not (signals.jobs_moved.has_listeners(tables.jobs) or (per_job and per_job.has_listeners(tables.jobs))):
        return

    def send() -> None:
        signals.jobs_moved.send_robust(
            sender=tables.jobs, subjects=subjects, verb=verb, status=status, actor=actor, message=message
        )
        if per_job and per_job.has_listeners(tables.jobs):
            ids = [subject.job_id for subject in subjects]
            for job in tables.jobs._default_manager.using(using).filter(pk__in=ids):
                per_job.send_robust(sender=tables.jobs, job=job, verb=verb, actor=actor)

    transaction.on_commit(send, using=using, robust=True)
