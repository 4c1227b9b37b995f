"""A database with very many jobs of this package, for questions that only read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from bench.child import call
from bench.databases import database, settle

SYSTEM = "own_reading"


@contextmanager
def filled(kind: str, question: str, *, queued: int, finished: int) -> Iterator[str]:
    """Its name, once it holds so many jobs and has settled; it is dropped afterwards."""
    with database(kind, question) as name:
        call(SYSTEM, "prepare", kind=kind, name=name)
        call(SYSTEM, "fill", kind=kind, name=name, queued=queued, finished=finished, timeout=3_600.0)
        settle(kind, name)
        yield name
