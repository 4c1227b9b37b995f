"""Delivering the outbox: leases, the call itself, and what became of it."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.db.models import F, Q, QuerySet

from container_manager import conf
from container_manager.exceptions import HandlerError, SecretError
from container_manager.handlers import mail, webhooks
from container_manager.handlers.registry import BATCH_COMPLETED, function_named
from container_manager.masking import Masker
from container_manager.models import HandlerCall, JobBatch
from container_manager.retry import RetryPolicy
from container_manager.secret_references import resolve_all
from container_manager.sql.clock import DatabaseNow

logger = logging.getLogger(__name__)

BACKOFF: Final = RetryPolicy(first_delay=5.0, longest_delay=3_600.0)
"""Up to 5 s, 10 s, 20 s, ... an hour: twelve tries last the better part of a day."""
_ERROR_LENGTH: Final = 4_000


def lease_seconds() -> float:
    """How long a deliverer that says nothing keeps a call: as long as a worker that says nothing is alive."""
    return float(conf.get("WORKER_TIMEOUT"))


def take(worker: UUID, using: str, *, limit: int) -> list[HandlerCall]:
    """
    At most ``limit`` calls that are due are ``worker``'s to deliver, for the time of a lease.

    One compare-and-set each, so no two workers take the same call; no lock is held.
    """
    if limit <= 0:
        return []
    due = waiting(using).filter(next_try_at__lte=DatabaseNow())
    taken: list[HandlerCall] = []
    # More than are wanted: others take from the same end.
    for call in due.select_related("job").order_by("next_try_at", "id")[: limit * 4]:
        lease = DatabaseNow() + timedelta(seconds=lease_seconds())
        if len(taken) < limit and due.filter(pk=call.pk, tries=call.tries).update(
            tries=F("tries") + 1, worker=worker, next_try_at=lease
        ):
            call.tries, call.worker = call.tries + 1, worker
            taken.append(call)
    return taken


def waiting(using: str) -> QuerySet[HandlerCall]:
    """Calls that are to be delivered, now or later, or are being delivered."""
    return HandlerCall.objects.using(using).filter(next_try_at__isnull=False)


def renew(calls: Sequence[HandlerCall], using: str) -> None:
    """The leases of ``calls`` begin anew, those that still stand."""
    lease = DatabaseNow() + timedelta(seconds=lease_seconds())
    for call in calls:
        _held(call, using).update(next_try_at=lease)


def deliver(call: HandlerCall) -> None:
    """
    The handler of ``call`` was called. ``HandlerError`` when there is none.

    Raises what the handler raises; where that shows a secret of the job, a ``HandlerError`` that says the same without.
    """
    try:
        _deliver(call)
    except Exception as error:
        without = _without_secrets(error, call)
        if without is error:
            raise
        raise without from None


def _deliver(call: HandlerCall) -> None:
    if call.job is None and not call.subject:
        raise HandlerError(f"Job {call.job_id} was deleted before this could be told.")
    if call.handler.startswith(webhooks.PREFIX):
        webhooks.send(call)
    elif call.handler == mail.HANDLER:
        mail.send(call)
    else:
        _call_function(call)


def _call_function(call: HandlerCall) -> None:
    function = function_named(call.handler)
    if function is None:
        raise HandlerError(
            f"There is no function {call.handler} here: its module was removed or renamed. Bring it back, or delete "
            "the call."
        )
    function(_argument(call))


def _argument(call: HandlerCall) -> object:
    if call.event == BATCH_COMPLETED:
        return JobBatch.objects.using(call._state.db).get(pk=call.subject)
    return call.subject or call.job


def _without_secrets(error: Exception, call: HandlerCall) -> Exception:
    if call.job is None or not call.job.secrets:
        return error
    try:
        masker = Masker(resolve_all(call.job.secrets).values)
    except SecretError:
        text = "its text is withheld: the job's secrets cannot be resolved any more, so not be masked."
        return HandlerError(f"The handler raised {type(error).__name__}; {text}")
    text = "".join(traceback.format_exception(error))
    masked = masker.mask_value(text)
    if masked == text:
        return error
    hidden = HandlerError(masked)
    hidden.is_final = getattr(error, "is_final", False)
    return hidden


def record_delivered(call: HandlerCall, using: str) -> bool:
    """``call`` is done; false = somebody else has taken it over meanwhile, nothing was written."""
    return bool(
        _held(call, using).update(
            state=HandlerCall.State.DELIVERED, next_try_at=None, worker=None, finished_at=DatabaseNow(), last_error=""
        )
    )


def record_failure(call: HandlerCall, error: BaseException, using: str) -> bool:
    """``call`` is tried again later, or given up after ``HANDLER_MAX_TRIES``; its error is kept. False as above."""
    text = describe(error)
    if call.tries >= conf.get("HANDLER_MAX_TRIES") or getattr(error, "is_final", False):
        logger.error("given up after %s tries: %s: %s", call.tries, call, error, extra={"job": str(call.job_id)})
        written = _held(call, using).update(
            state=HandlerCall.State.FAILED, next_try_at=None, worker=None, finished_at=DatabaseNow(), last_error=text
        )
        return bool(written)
    delay = BACKOFF.delay_seconds(call.tries)
    logger.warning("tried again in %.0f s: %s: %s", delay, call, error, extra={"job": str(call.job_id)})
    again = DatabaseNow() + timedelta(seconds=delay)
    return bool(_held(call, using).update(next_try_at=again, worker=None, last_error=text))


def retry(using: str, ids: Collection[int] | None = None) -> int:
    """
    Calls that were given up, all or those of ``ids``, are due again with all their tries; returns how many.

    So are those of ``ids`` that wait for a later try; their tries stay as they are.
    """
    calls = HandlerCall.objects.using(using)
    again: dict[str, Any] = {"state": HandlerCall.State.WAITING, "next_try_at": DatabaseNow(), "finished_at": None}
    if ids is None:
        return calls.filter(state=HandlerCall.State.FAILED).update(tries=0, **again)
    hastened = _resting(calls.filter(pk__in=ids)).update(next_try_at=DatabaseNow())
    return hastened + calls.filter(pk__in=ids, state=HandlerCall.State.FAILED).update(tries=0, **again)


def give_up(using: str, ids: Collection[int]) -> int:
    """Of ``ids``, the calls that wait are failed, with the last error they had; not those being delivered."""
    return _resting(HandlerCall.objects.using(using).filter(pk__in=ids)).update(
        state=HandlerCall.State.FAILED, next_try_at=None, worker=None, finished_at=DatabaseNow()
    )


def _resting(calls: QuerySet[HandlerCall]) -> QuerySet[HandlerCall]:
    """Those that wait, and that no worker delivers now."""
    is_free = Q(worker__isnull=True) | Q(next_try_at__lte=DatabaseNow())
    return calls.filter(is_free, state=HandlerCall.State.WAITING)


def has_due(using: str) -> bool:
    """Whether a call is to be delivered now, or is being delivered."""
    calls = HandlerCall.objects.using(using)
    return calls.filter(next_try_at__lte=DatabaseNow()).exists() or calls.filter(worker__isnull=False).exists()


def describe(error: BaseException) -> str:
    """Type, message and the innermost lines of the traceback; what every database takes."""
    lines = traceback.format_exception(error)
    return "".join(lines).replace("\0", "\N{REPLACEMENT CHARACTER}")[-_ERROR_LENGTH:]


def _held(call: HandlerCall, using: str) -> QuerySet[HandlerCall]:
    return HandlerCall.objects.using(using).filter(pk=call.pk, tries=call.tries, worker=call.worker)
