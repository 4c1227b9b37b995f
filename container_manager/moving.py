"""
The statements that move a group of jobs, their attempts and their events. ``lifecycle`` says what is allowed.

Rows are always locked in the order job, then attempt, so that two moves of one job cannot deadlock.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.db import connections, models, transaction

from container_manager.journal import append_events, events_from, insertion, rows_of
from container_manager.sql.anyof import AnyOf
from container_manager.sql.arrays import among, array_of_ids
from container_manager.sql.rowvalues import RowValues
from container_manager.sql.statements import Statement
from container_manager.sql.updates import conditions_of, update
from container_manager.wakeup import woken

MOVED: Final = "moved"
_COPIED: Final = {
    "job": "id", "active_job": "id", "number": "attempt",
    "memory_limit": "memory_limit", "cpu_limit": "cpu_limit", "launched_at": "launched_at",
}  # fmt: skip
"""What a new attempt has from its job's row."""


class Tables(NamedTuple):
    """The models whose rows a move touches."""

    jobs: type[models.Model]
    attempts: type[models.Model]
    events: type[models.Model]


class Subject(NamedTuple):
    """A job that is to move, and the attempt its event belongs to (0 = none yet)."""

    job_id: UUID
    attempt: int = 0


class Opening(NamedTuple):
    """
    The attempts that a claim opens: ``template`` has what they share, ``ids`` the id of each.

    By its job's, or as many as may be needed for jobs that are not known yet: only PostgreSQL can do that.
    """

    template: models.Model
    ids: Mapping[UUID, UUID] | Sequence[UUID]

    def insertion(self, source: str, using: str) -> Statement:
        """Their INSERT from the rows of jobs that ``source`` has."""
        own = {"id", *_COPIED}
        fields = [field for field in self.template._meta.concrete_fields if field.name not in own]
        shared = {field.name: getattr(self.template, field.attname) for field in fields}
        return insertion(
            type(self.template), source, connections[using], copied=_COPIED, shared=shared, each={"id": self._id(using)}
        )

    def _id(self, using: str) -> Statement:
        if isinstance(self.ids, Mapping):
            sql, bound = RowValues(type(self.template), "id", self.ids).compiled(connections[using])
            return sql, list(bound)
        return "(%s::uuid[])[row_number() OVER ()]", [array_of_ids(self.ids)]


class PartlyMovedError(Exception):
    """Some of a group had been moved by somebody else; undo, and ask one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """
    ``subjects`` in one of the statuses ``sources`` get ``written``, and an event with the columns of ``event``.

    ``guard``: what else must be true of their rows, as lookups; see ``conditions_of`` for which.
    ``attempt_values``: what their open attempts get, if anything. ``opening``: the attempts that
    begin. ``attempt_ids``: those open attempts, where the caller has seen them committed, so that they may
    be written by the same statement, whose snapshot is older than its lock on the job. ``is_arrival``:
    the jobs are in the queue now, and listeners are told.
    """

    tables: Tables
    using: str
    subjects: Sequence[Subject]
    sources: Collection[str]
    guard: Mapping[str, Any]
    written: Mapping[str, Any]
    event: Mapping[str, Any]
    attempt_values: Mapping[str, Any] | None = None
    opening: Opening | None = None
    attempt_ids: Sequence[UUID] | None = None
    is_arrival: bool = False

    @property
    def ids(self) -> list[UUID]:
        return [subject.job_id for subject in self.subjects]

    def make(self, *, savepoint: bool) -> list[Subject]:
        """
        Those that moved, in order; atomic.

        ``PartlyMovedError``, with ``savepoint`` only: some did not, and the database does not say which.
        """
        if connections[self.using].vendor != "postgresql":
            return self._make_in_steps(savepoint=savepoint)
        if self.attempt_values is None or self.attempt_ids is not None:
            return self._make_at_once()
        with transaction.atomic(using=self.using, savepoint=False):
            moved = self._make_at_once()
            if moved:
                ids = [subject.job_id for subject in moved]
                self._open_attempts(ids).update(**self.attempt_values)
        return moved

    def _make_at_once(self) -> list[Subject]:
        """PostgreSQL: one statement, which is atomic by itself and returns which rows it moved."""
        connection = connections[self.using]
        sql, bound = self._update_jobs()
        returned = ", ".join(sorted({"id", "attempt", "queue", *(_COPIED.values() if self.opening else ())}))
        parts = [f"{MOVED} AS ({sql} RETURNING {returned})"]
        for name, (part, parameters) in self._consequences():
            parts.append(f"{name} AS ({part})")
            bound += parameters
        answer = f"SELECT id FROM {MOVED}"  # noqa: S608 - our own name
        if self.is_arrival:
            answer = f"SELECT id, told FROM {MOVED}, ({woken(MOVED)}) AS woken"  # noqa: S608 - our own name
        with connection.cursor() as cursor:
            cursor.execute(f"WITH {', '.join(parts)} {answer}", bound)
            moved = {row[0] for row in cursor.fetchall()}
        return [subject for subject in self.subjects if subject.job_id in moved]

    def _update_jobs(self) -> Statement:
        connection = connections[self.using]
        jobs = self.tables.jobs
        statuses = ", ".join(f"'{status}'" for status in sorted(self.sources))
        keys = among(self.ids, jobs._meta.pk, connection)
        # No index has that expression: a planner that expects few jobs in a status reads all that were in it.
        sources: Statement = f"status || '' IN ({statuses})", []
        guard = conditions_of(jobs, self.guard, connection)
        return update(jobs, self.written, [keys, sources, *guard], connection)

    def _consequences(self) -> Iterable[tuple[str, Statement]]:
        connection = connections[self.using]
        yield "noted", events_from(self.tables.events, MOVED, connection, self.event)
        if self.opening is not None:
            yield "opened", self.opening.insertion(MOVED, self.using)
        if self.attempt_values is not None and self.attempt_ids is not None:
            # By their keys: the indexes of open attempts are full of those that have just ended.
            known = among(self.attempt_ids, self.tables.attempts._meta.pk, connection)
            moved: Statement = f"job_id IN (SELECT {MOVED}.id FROM {MOVED})", []  # noqa: S608 - our own name
            yield "written", update(self.tables.attempts, self.attempt_values, [known, moved], connection)

    def _make_in_steps(self, *, savepoint: bool) -> list[Subject]:
        """
        Elsewhere: one statement each, and a group of which not all moved is to be asked one by one.

        Without ``savepoint`` the caller has locked the rows, so that all move.
        """
        using = self.using
        with transaction.atomic(using=using, savepoint=savepoint):
            rows = self.tables.jobs._default_manager.using(using).filter(status__in=self.sources, **self.guard)
            moved = rows.filter(pk__in=self.ids).update(**self.written)
            if moved < len(self.subjects):
                if len(self.subjects) == 1:
                    return []
                raise PartlyMovedError
            if self.attempt_values is not None:
                self._open_attempts(self.ids).update(**self.attempt_values)
            if self.opening is not None:
                source, keys = rows_of(self.tables.jobs, self.ids, connections[using])
                statement, bound = self.opening.insertion(source, using)
                with connections[using].cursor() as cursor:
                    cursor.execute(statement, [*bound, *keys])
            append_events(self.tables.jobs, self.tables.events, using, self.subjects, self.event)
        return list(self.subjects)

    def _open_attempts(self, ids: Sequence[UUID]) -> models.QuerySet[Any]:
        return self.tables.attempts._default_manager.using(self.using).filter(AnyOf("active_job", ids))
