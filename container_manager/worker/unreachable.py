"""Hosts whose engine no worker has reached for ``HOST_TIMEOUT``: their attempts end ``lost``."""

from __future__ import annotations

import logging
from collections import defaultdict
from datetime import timedelta
from typing import Final
from uuid import UUID

from django.db.models import Q

from container_manager import conf
from container_manager.models import JobAttempt
from container_manager.services import takeover
from container_manager.sql.clock import DatabaseNow

logger = logging.getLogger(__name__)

BATCH: Final = 100


def give_up_unreachable(worker: UUID, using: str) -> int:
    """
    Attempts on hosts out of reach are taken over and ended as ``lost``; returns how many.

    Only for a worker that has itself been steady for ``HOST_TIMEOUT``. When the host is back,
    its reconciliation stops what still runs there.
    """
    limit = DatabaseNow() - timedelta(seconds=conf.get("HOST_TIMEOUT"))
    rows = (
        JobAttempt.objects.using(using)
        .filter(Q(host__served_at__lt=limit) | Q(host__served_at__isnull=True), launched_at__lt=limit)
        .filter(active_job__isnull=False)
        .select_related("job", "host")[:BATCH]
    )
    given_up: defaultdict[str, int] = defaultdict(int)
    for attempt in rows:
        error = f"No worker has reached the host {attempt.host} for {conf.get('HOST_TIMEOUT')} s; it may have run."
        given_up[attempt.host.name] += takeover.give_up(attempt, worker, using, reason=error)
    for host, count in given_up.items():
        logger.error("host %s is out of reach: %s attempts given up as lost", host, count, extra={"host": host})
    return sum(given_up.values())
