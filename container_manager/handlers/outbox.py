"""Feeding the outbox: in the transaction of a move, one row for each handler that is to be told."""

from __future__ import annotations

from collections.abc import Sequence

from container_manager.handlers import mail, webhooks
from container_manager.handlers.registry import EVENTS, Rule, rules_for
from container_manager.lifecycle import Subject
from container_manager.models import ContainerJob, HandlerCall
from container_manager.sql.clock import DatabaseNow
from container_manager.states import Verb


def feed(using: str, subjects: Sequence[Subject], verb: Verb) -> None:
    """
    Every handler that is told of ``verb`` is owed a call for each of ``subjects`` that it matches.

    A follower of ``lifecycle``: atomic with the move. Without a handler for the verb nothing is
    read or written; with some, one SELECT by primary key, and one INSERT if any matches.
    """
    event = EVENTS.get(verb)
    rules = _all_rules(event) if event else []
    if not event or not rules:
        return
    attempts = dict(subjects)
    jobs = ContainerJob.objects.using(using).filter(pk__in=list(attempts))
    calls = [
        HandlerCall(
            handler=rule.handler, event=event, job_id=job_id, attempt=attempts[job_id], next_try_at=DatabaseNow()
        )
        for job_id, queue, definition in jobs.values_list("pk", "queue", "definition")
        for rule in _matching(rules, queue, definition)
    ]
    HandlerCall.objects.using(using).bulk_create(calls)


def is_fed(verb: Verb) -> bool:
    """Whether any handler is to be told of ``verb``."""
    return verb in EVENTS and bool(_all_rules(EVENTS[verb]))


def owe(using: str, handler: str, event: str, subject: str) -> None:
    """``handler``, whatever the rules, is owed a call about ``subject``, in the caller's transaction."""
    HandlerCall.objects.using(using).create(handler=handler, event=event, subject=subject, next_try_at=DatabaseNow())


def owe_once(using: str, event: str, subject: str, once: str) -> int:
    """Every handler of ``event`` is owed one call about ``subject``, unless it was for the same ``once``; how many."""
    owed = 0
    for rule in _all_rules(event):
        owed += HandlerCall.objects.using(using).get_or_create(
            once=f"{rule.handler}:{once}"[:255],
            defaults={"handler": rule.handler, "event": event, "subject": subject, "next_try_at": DatabaseNow()},
        )[1]
    return owed


def _all_rules(event: str) -> list[Rule]:
    """Those of the project's code and those of its settings."""
    return [*rules_for(event), *webhooks.rules_for(event), *mail.rules_for(event)]


def _matching(rules: Sequence[Rule], queue: str, definition: str) -> list[Rule]:
    """Each handler once, however many of its rules match."""
    return list({rule.handler: rule for rule in rules if rule.matches(queue, definition)}.values())
