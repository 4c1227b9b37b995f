"""A database that was moved or copied: it is told which of the two it is, and then works again."""

from __future__ import annotations

from uuid_utils.compat import uuid7

from container_manager.models import ExecutorHost, Installation, JobAttempt
from container_manager.models.installation import database_fingerprint, random_id
from container_manager.services.takeover import give_up


def become_original(using: str) -> None:
    """The database is the installation's own, at a new place: rescue and sweep work again."""
    Installation.current(using)
    Installation.objects.using(using).update(fingerprint=database_fingerprint(using))


def become_copy(using: str) -> int:
    """
    The database is an installation of its own, with a new id; returns how many open attempts ended ``lost``.

    Their containers are the original's and are not touched. Workers are to be restarted.
    """
    Installation.current(using)
    worker = uuid7()
    lost = 0
    for attempt in JobAttempt.objects.using(using).filter(active_job__isnull=False).select_related("job", "host"):
        lost += give_up(attempt, worker, using, reason="It runs, or ran, for the original of this database.")
    Installation.objects.using(using).update(identifier=random_id(), fingerprint=database_fingerprint(using))
    # Some engines are one per installation, and nothing of this one's is left that another engine could miss.
    ExecutorHost.objects.using(using).update(engine_id="")
    return lost
