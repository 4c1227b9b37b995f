"""
The only writer of a job's status: compare-and-set, event and signal in one transaction.

Imports no model: callers hand over their ``Tables``. Rows are always locked in the order
job, then attempt, so that two moves of one job cannot deadlock.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any, Final
from uuid import UUID

from django.db import connections, transaction

from container_manager import signals
from container_manager.arriving import insert_jobs
from container_manager.journal import append_events
from container_manager.moving import Move, Opening, PartlyMovedError, Subject, Tables
from container_manager.picking import pick
from container_manager.sql.clock import DatabaseNow
from container_manager.sql.conflicts import retry_on_conflict
from container_manager.sql.statements import Statement
from container_manager.states import ACTIVE, TERMINAL, TRANSITIONS, Hold, Status, Verb, sources_of

__all__ = [
    "SYSTEM",
    "Opening",
    "Subject",
    "Tables",
    "check_move",
    "follow",
    "implied",
    "insert_queued",
    "record",
    "transition",
    "transition_first",
]

SYSTEM: Final = "system"

Follower = Callable[[str, Sequence[Subject], Verb], None]
_followers: dict[Follower, Callable[[Verb], bool]] = {}

_UNSTARTED: Final[Mapping[str, Any]] = {"launched_at": None, "started_at": None, "finished_at": None, "worker": None}
_IMPLIED: Final[dict[Status, Mapping[str, Any]]] = {
    Status.PENDING: {**_UNSTARTED, "queued_at": None, "scheduled_for": None, "retry_count": 0},
    Status.QUEUED: _UNSTARTED,
    Status.LAUNCHING: {"launched_at": DatabaseNow()},
    Status.RUNNING: {},
    **{status: {"finished_at": DatabaseNow(), "worker": None, "unique_slot": None} for status in TERMINAL},
}
"""Columns that a status implies, unless the caller says otherwise."""
_CLOSED: Final[Mapping[str, Any]] = {"finished_at": DatabaseNow(), "worker": None}
"""What an attempt gets that ends: its capacity is free again."""
_NO_HOLD: Final[Mapping[str, Any]] = {"hold": Hold.NONE, "hold_until": None, "hold_reason": ""}
_NOT_WAITING: Final[Mapping[str, Any]] = {**_NO_HOLD, "expires_at": None}


def transition(
    tables: Tables,
    using: str,
    subjects: Sequence[Subject],
    *,
    to: Status,
    verb: Verb,
    guard: Mapping[str, Any] | None = None,
    values: Mapping[str, Any] | None = None,
    attempt_values: Mapping[str, Any] | None = None,
    opening: Opening | None = None,
    sources: Collection[Status] | None = None,
    actor: str = SYSTEM,
    message: str = "",
    data: Mapping[str, Any] | None = None,
    are_locked: bool = False,
    attempt_ids: Sequence[UUID] | None = None,
) -> list[Subject]:
    """
    Those of ``subjects`` whose rows still are as ``guard`` says and that may go to ``to`` have gone there.

    Returns exactly those, in order. Each has one event; the open attempts of each have
    ``attempt_values``, and jobs that leave the active statuses have no open attempt left. One
    guarded UPDATE for the whole group; only when somebody moved some of them meanwhile, and the
    database does not say which, is each asked on its own. Atomic; joins the caller's
    transaction, and without one is tried again after a deadlock. ``guard`` is the caller's
    own (attempt, worker); ``sources`` narrows the statuses to come from, never widens
    them. ``are_locked``: the caller has locked the rows and seen their status, so all move, and
    no savepoint is spent on the doubt. ``attempt_ids``: see ``Move``.
    """
    if not subjects:
        return []
    allowed = sources_of(to) if sources is None else sources_of(to) & frozenset(sources)
    if to not in ACTIVE and allowed & ACTIVE:
        attempt_values = {**_CLOSED, **(attempt_values or {}), "active_job": None}
    move = Move(
        tables=tables, using=using, subjects=subjects, sources=allowed, guard=guard or {},
        written={**implied(to), **(values or {})},
        event={"verb": verb, "actor": actor, "message": message, "data": data},
        attempt_values=attempt_values, opening=opening, attempt_ids=attempt_ids,
        is_arrival=to == Status.QUEUED,
    )  # fmt: skip
    followers = _followers_of(verb)
    savepoint = len(subjects) > 1 and not are_locked

    def make() -> list[Subject]:
        with transaction.atomic(using=using, savepoint=savepoint) if followers else nullcontext():
            moved = move.make(savepoint=savepoint)
            _follow(followers, using, moved, verb)
        return moved

    try:
        moved = make() if connections[using].in_atomic_block else retry_on_conflict(make)
    except PartlyMovedError:
        singly = partial(
            transition, tables, using, to=to, verb=verb, guard=guard, values=values, attempt_values=attempt_values,
            opening=opening, sources=sources, actor=actor, message=message, data=data,
        )  # fmt: skip
        with transaction.atomic(using=using):
            return [moved for subject in subjects for moved in singly([subject])]
    if moved:
        _announce(tables, using, moved, verb=verb, status=to, actor=actor, message=message)
    return moved


def transition_first(
    tables: Tables,
    using: str,
    wanted: Statement,
    *,
    order: Sequence[str],
    to: Status,
    verb: Verb,
    values: Mapping[str, Any],
    opening: Opening,
    actor: str,
    data: Mapping[str, Any] | None = None,
) -> list[tuple[Any, UUID]]:
    """
    PostgreSQL: the jobs that ``wanted`` selects and locks have gone to ``to``, in the caller's transaction.

    As by ``transition``, but ``wanted`` sees to it that they may. Returns what ``pick`` does.
    """
    event = {"verb": verb, "actor": actor, "message": "", "data": data}
    written = {**implied(to), **values}
    picked = pick(tables, using, wanted, order=order, written=written, event=event, opening=opening)
    moved = [Subject(job.pk, job.attempt) for job, _ in picked]
    if moved:
        _follow(_followers_of(verb), using, moved, verb)
        _announce(tables, using, moved, verb=verb, status=to, actor=actor, message="")
    return picked


def follow(follower: Follower, wants: Callable[[Verb], bool] = lambda verb: True) -> None:
    """
    ``follower(using, subjects, verb)`` is called with every move, in its transaction; once is enough.

    What it writes is committed with the move or not at all; what it raises undoes the move.
    ``wants``: for which verbs it has something to do now; a move that nobody follows needs no transaction.
    """
    _followers[follower] = wants


def insert_queued(tables: Tables, using: str, jobs: Sequence[Any], *, actor: str = SYSTEM) -> None:
    """``jobs``, new instances in the status QUEUED, are rows, and have their events and their signals too. Atomic."""
    verb = Verb.QUEUE
    followers = _followers_of(verb)
    event = {"verb": verb, "actor": actor, "message": "", "data": None}
    with transaction.atomic(using=using) if followers else nullcontext():
        subjects = insert_jobs(tables, jobs, using, event)
        _follow(followers, using, subjects, verb)
    _announce(tables, using, subjects, verb=verb, status=Status.QUEUED, actor=actor, message="")


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


def record_rescue(
    tables: Tables, using: str, subject: Subject, status: Status, *, actor: str, message: str
) -> None:  # fmt: skip
    """The attempt, whose job stays in ``status``, has another owner: its event, and after the commit its signal."""
    record(tables, using, [subject], Verb.RESCUE, actor=actor, message=message)
    _announce(tables, using, [subject], verb=Verb.RESCUE, status=status, actor=actor, message=message)


def implied(status: Status) -> dict[str, Any]:
    """The columns that every move to ``status`` writes, and what, unless the caller says otherwise."""
    return {**_IMPLIED[status], **_NOT_WAITING, "status": status}


def check_move(source: str, target: str) -> bool:
    """Whether ``TRANSITIONS`` has this edge."""
    return target in TRANSITIONS[Status(source)]


def _followers_of(verb: Verb) -> list[Follower]:
    return [follower for follower, wants in _followers.items() if wants(verb)]


def _follow(followers: Sequence[Follower], using: str, subjects: Sequence[Subject], verb: Verb) -> None:
    for follower in followers if subjects else ():
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
