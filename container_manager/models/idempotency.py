"""Which job a request with an ``Idempotency-Key`` has made."""

from __future__ import annotations

from django.db import models
from django.utils import timezone


class IdempotencyKey(models.Model):
    """
    A request that made a job, so that its repetition makes no other.

    ``digest`` is a hash of the user and the key, ``fingerprint`` one of the body. Inserted in the
    transaction that inserts the job: of two requests at once one waits for the other.
    """

    digest = models.CharField(max_length=64, primary_key=True)
    fingerprint = models.CharField(max_length=64)
    job = models.UUIDField()
    created_at = models.DateTimeField(default=timezone.now, db_index=True)

    def __str__(self) -> str:
        return f"key of job {self.job}"
