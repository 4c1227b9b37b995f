"""Queues whose jobs wait for a worker that never comes."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.utils import timezone

from container_manager import claiming
from container_manager.handlers import outbox
from container_manager.handlers.registry import UNSERVED
from container_manager.models import ContainerJob, ExecutorHost, Worker
from container_manager.models.job_queryset import JobQuerySet
from container_manager.sql.indexes import Literal
from container_manager.states import Hold, Status

PATIENCE: Final = timedelta(minutes=5)
"""How long a job is ready before its queue is worth a notice: a deployment is no trouble."""


def tell_of_unserved_queues(using: str) -> int:
    """Each handler of ``unserved`` is owed one call a day for each such queue; returns how many calls are new."""
    today = timezone.now().date()
    return sum(
        outbox.owe_once(using, UNSERVED, queue, f"{UNSERVED}:{queue}:{today}") for queue in unserved_queues(using)
    )


def unserved_queues(using: str) -> list[str]:
    """Queues with a job that has been ready for long, and no active host of a live worker that serves them."""
    alive = {pk for hosts in Worker.objects.using(using).alive().values_list("hosts", flat=True) for pk in hosts}
    hosts = ExecutorHost.objects.using(using).filter(pk__in=alive, is_active=True)
    served = {queue for host in hosts for queue in host.served_queues}
    old = timezone.now() - PATIENCE
    return [queue for queue in _ready_queues(using) if queue not in served and _head_is_older(using, queue, old)]


def _ready_queues(using: str) -> list[str]:
    """By jumps through the ready index: one look for each queue, however many jobs it has."""
    ready = JobQuerySet(ContainerJob, using=using).filter(status=Literal(Status.QUEUED), hold=Literal(Hold.NONE))
    queues: list[str] = []
    while (
        queue := ready.filter(queue__gt=queues[-1] if queues else "")
        .order_by("queue")
        .values_list("queue", flat=True)
        .first()
    ):
        queues.append(queue)
    return queues


def _head_is_older(using: str, queue: str, than: datetime) -> bool:
    head = claiming.ready_jobs(using, queue).values_list("queued_at", flat=True).first()
    return head is not None and head < than
