"""What there is to do, asked in one statement: an idle worker asks nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import connections

from container_manager import batches, claiming, due, lanes, turns
from container_manager.handlers import delivery
from container_manager.models import JobAttempt
from container_manager.sql.clock import NOW_SQL, aware
from container_manager.sql.scalars import Scalar, asking, first_of, is_any_of

_ALWAYS: Final = ("now", "promotion", "expiry", "call", "waiting", "left", "ended")


@dataclass(frozen=True, slots=True)
class Agenda:
    """What one look found. Each part is a hint: whoever acts on it is guarded by its own statements."""

    ready: frozenset[str]
    """The queues with a ready job."""
    is_promotion_due: bool
    is_expiry_due: bool
    is_call_due: bool
    are_jobs_waiting: bool
    """Some are held by a limit."""
    are_places_left: bool
    """Some are to be given back."""
    is_batch_ended: bool
    is_attempt_open: bool
    """On the hosts that were asked for, whoever has it."""
    next_due_seconds: float | None
    """Until a held job, one that may wait no longer, or a handler call is due that is not yet."""

    @property
    def is_only_ready(self) -> bool:
        """There is nothing to do but to claim."""
        return not (
            self.is_promotion_due or self.is_expiry_due or self.is_call_due or self.are_jobs_waiting
            or self.are_places_left or self.is_batch_ended
        )  # fmt: skip


class AgendaReader:
    """Reads agendas with one statement each, compiled once for the same queues and hosts."""

    def __init__(self, using: str) -> None:
        self._using = using
        self._asked: tuple[tuple[str, ...], tuple[int, ...]] | None = None
        self._statement: Scalar = ("", [])

    def read(self, queues: Sequence[str], hosts: Sequence[int]) -> Agenda:
        """The agenda now, for a worker that serves ``queues`` on ``hosts``."""
        asked = tuple(queues), tuple(hosts)
        if asked != self._asked:
            self._statement, self._asked = self._compile(*asked), asked
        with connections[self._using].cursor() as cursor:
            cursor.execute(*self._statement)
            row = cursor.fetchone()
        found = dict(zip(_ALWAYS, row, strict=False))
        flags = row[len(_ALWAYS) :]
        now = aware(found["now"])
        moments = {name: aware(found[name]) for name in ("promotion", "expiry", "call") if found[name] is not None}
        return Agenda(
            ready=frozenset(queue for queue, is_ready in zip(queues, flags, strict=False) if is_ready),
            is_promotion_due=_is_past(moments.get("promotion"), now),
            is_expiry_due=_is_past(moments.get("expiry"), now),
            is_call_due=_is_past(moments.get("call"), now),
            are_jobs_waiting=bool(found["waiting"]),
            are_places_left=bool(found["left"]),
            is_batch_ended=bool(found["ended"]),
            is_attempt_open=any(flags[len(queues) :]),
            next_due_seconds=min(((at - now).total_seconds() for at in moments.values() if at > now), default=None),
        )

    def _compile(self, queues: Sequence[str], hosts: Sequence[int]) -> Scalar:
        using = self._using
        # The index's own columns: ordered by the host itself, they would be by its name.
        in_order = JobAttempt.objects.using(using).order_by("host_id", "active_job_id")
        open_attempts = in_order.filter(active_job__isnull=False)
        return asking(
            [
                (NOW_SQL[connections[using].vendor], []),
                first_of(due.held(using), "hold_until"),
                first_of(due.expiring(using), "expires_at"),
                first_of(delivery.waiting(using), "next_try_at"),
                is_any_of(turns.waiting(using)),
                is_any_of(lanes.left(using)),
                is_any_of(batches.ended(using)),
                # One by one: no database finds the first of several queues in its index as surely.
                *(is_any_of(claiming.ready_jobs(using, queue)) for queue in queues),
                *(is_any_of(open_attempts.filter(host=host)) for host in hosts),
            ]
        )


def _is_past(at: datetime | None, now: datetime) -> bool:
    return at is not None and at <= now
