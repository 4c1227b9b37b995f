"""Leaving: what is unstarted is given back, what runs is left running for the next worker to adopt at once."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from django.db import DatabaseError, InterfaceError, transaction

from container_manager.exceptions import ExecutorError
from container_manager.models import ContainerJob, JobAttempt
from container_manager.states import Status
from container_manager.worker import heartbeat
from container_manager.worker.host_runner import HostRunner

logger = logging.getLogger(__name__)

SETTLE_SECONDS: Final = 20.0
"""How long launches under way are waited for; what is left then is rescued, as after a crash."""


def leave(runners: Sequence[HostRunner], worker: UUID, using: str) -> None:
    """No row names ``worker`` as an owner any more, as far as the database can be reached. Kills nothing."""
    try:
        _settle_launches(runners)
        for runner in runners:
            try:
                runner.give_back()
            except ExecutorError as error:
                logger.warning("not given back: %s", error, extra={"host": runner.host.name})
        _hand_over(worker, using)
        heartbeat.deregister(worker, using)
    except (DatabaseError, InterfaceError) as error:
        logger.warning("left without saying so, others will rescue: %s", error, extra={"worker": str(worker)})
    finally:
        for runner in runners:
            runner.close()


def _settle_launches(runners: Sequence[HostRunner]) -> None:
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        for runner in runners:
            runner.tick(may_start=False)
        if all(runner.is_settled for runner in runners) or time.monotonic() > deadline:
            return
        time.sleep(0.02)


def _hand_over(worker: UUID, using: str) -> None:
    with transaction.atomic(using=using):
        ContainerJob.objects.using(using).filter(worker=worker, status=Status.RUNNING).update(worker=None)
        # Those of running jobs, by what their start wrote: to join the jobs is for no planner to get wrong.
        started = JobAttempt.objects.using(using).filter(active_job__isnull=False, started_at__isnull=False)
        started.filter(worker=worker).update(worker=None)
