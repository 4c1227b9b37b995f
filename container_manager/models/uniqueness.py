"""A key is held by one unfinished job at a time: a unique column that every end of a job clears."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import IntegrityError, models, transaction

from container_manager.exceptions import DuplicateJobError


def slot_of(key: str | None) -> str | None:
    """
    What the unique column holds for ``key``; ``None`` holds nothing.

    A digest: databases disagree on whether keys differ in case, accents or trailing spaces.
    """
    return None if key is None else hashlib.sha256(key.encode()).hexdigest()


@contextmanager
def naming_the_holder(jobs: models.QuerySet[Any], keys: Sequence[str | None]) -> Iterator[None]:
    """
    The block is atomic; ``DuplicateJobError`` when another job holds one of ``keys``, with that job.

    The ``IntegrityError`` itself where no such job is to be seen: it was another constraint, or
    the holder has just ended.
    """
    try:
        with transaction.atomic(using=jobs.db):
            yield
    except IntegrityError as error:
        slots = [slot_of(key) for key in keys if key is not None]
        holder = jobs.filter(unique_slot__in=slots).first() if slots else None
        if holder is None:
            raise
        raise DuplicateJobError(holder.unique_key, holder) from error
