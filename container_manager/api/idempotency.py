"""``Idempotency-Key``: a repeated request makes no second job."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

from django.db import IntegrityError, connections, transaction
from rest_framework.request import Request

from container_manager.api.problems import ProblemError
from container_manager.models import ContainerJob, IdempotencyKey
from container_manager.sql.conflicts import retry_on_conflict

HEADER: Final = "Idempotency-Key"
LONGEST: Final = 200


def once(request: Request, make: Callable[[], ContainerJob], using: str) -> tuple[UUID, bool]:
    """
    The id of the job that ``make`` returned, now or for an earlier request with this key, and whether it was now.

    Atomic: the key is known exactly if the job is there. Of several requests at once one makes the
    job and the others wait for it. ``ProblemError`` when the key came with another body.
    """
    key = request.headers.get(HEADER)
    if key is None:
        with transaction.atomic(using=using):
            return make().pk, True
    if not 0 < len(key) <= LONGEST or not key.isprintable():
        raise ProblemError(400, "malformed", f"{HEADER} has 1 to {LONGEST} printable characters.")
    digest = _hash([str(request.user.pk), key])
    fingerprint = _hash(request.data)
    known = _known(digest, fingerprint, using)
    if known is not None:
        return known, False

    def insert() -> UUID:
        with transaction.atomic(using=using):
            row = IdempotencyKey(digest=digest, fingerprint=fingerprint, job=UUID(int=0))
            row.save(using=using, force_insert=True)
            row.job = make().pk
            row.save(using=using, update_fields=["job"])
            return row.job

    try:
        return (insert() if connections[using].in_atomic_block else retry_on_conflict(insert)), True
    except IntegrityError:
        known = _known(digest, fingerprint, using)
        if known is None:
            raise
        return known, False


def _known(digest: str, fingerprint: str, using: str) -> UUID | None:
    row = IdempotencyKey.objects.using(using).filter(pk=digest).first()
    if row is None:
        return None
    if row.fingerprint != fingerprint:
        raise ProblemError(409, "key-reused", f"This {HEADER} came with another body before: use a new one.")
    return row.job


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
