"""Handlers that are owed a call, called on the caller's own connection; webhooks are kept instead of sent."""

from __future__ import annotations

from uuid import UUID

from django.db import DatabaseError, connections, transaction

from container_manager.handlers import delivery, webhooks
from container_manager.handlers.webhooks import WebhookRequest
from container_manager.models import HandlerCall
from container_manager.sql.clock import DatabaseNow


class Delivering:
    """Delivers the outbox call by call, oldest first; pauses between tries are skipped."""

    def __init__(self, worker: UUID, using: str, sent: list[WebhookRequest]) -> None:
        self._worker, self._using, self._sent = worker, using, sent

    def deliver_next(self, *, propagate: bool) -> bool:
        """
        One call was delivered, or has failed; false = none is waiting.

        With ``propagate`` what a handler raises is raised here, too, once it is written down.
        """
        waiting = HandlerCall.objects.using(self._using).filter(state=HandlerCall.State.WAITING)
        waiting.update(next_try_at=DatabaseNow())
        taken = delivery.take(self._worker, self._using, limit=1)
        for call in taken:
            error = self._deliver(call)
            if error is None:
                delivery.record_delivered(call, self._using)
                continue
            delivery.record_failure(call, error, self._using)
            if propagate:
                raise error
        return bool(taken)

    def _deliver(self, call: HandlerCall) -> Exception | None:
        """What the handler raised. The test's transaction, if there is one, outlives it."""
        # No atomic(): a worker calls handlers outside of any, and they may ask whether they are inside one.
        is_inside = connections[self._using].in_atomic_block
        savepoint = transaction.savepoint(using=self._using) if is_inside else None
        try:
            if call.handler.startswith(webhooks.PREFIX):
                self._sent.append(webhooks.request_of(call))
            else:
                delivery.deliver(call)
        except Exception as error:  # noqa: BLE001 - whatever a handler raises
            is_broken = isinstance(error, DatabaseError) or connections[self._using].needs_rollback
            if savepoint is not None and is_broken:
                transaction.set_rollback(False, using=self._using)
                transaction.savepoint_rollback(savepoint, using=self._using)
            return error
        if savepoint is not None:
            transaction.savepoint_commit(savepoint, using=self._using)
        return None
