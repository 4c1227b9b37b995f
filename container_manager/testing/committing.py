"""What waits for a commit, in a test whose transaction never commits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connections, transaction
from django.test import TestCase

from container_manager.exceptions import QueueError


def refuse_open_transaction(using: str) -> None:
    """``QueueError`` inside ``atomic()``, except the test case's own."""
    try:
        with transaction.atomic(using=using, durable=True):
            pass
    except RuntimeError as error:
        raise QueueError(
            "run_all() inside atomic(): a worker sees jobs only once they are committed. Call it after the block."
        ) from error


@contextmanager
def committing(using: str) -> Iterator[None]:
    """What was put off meanwhile until the commit is done at the end, signals for example, and only once."""
    before = len(connections[using].run_on_commit)
    try:
        with TestCase.captureOnCommitCallbacks(using=using, execute=True):
            yield
    finally:
        del connections[using].run_on_commit[before:]
