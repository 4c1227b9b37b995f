"""This package over a connection that prepares statements on the server, as procrastinate's and pgqueuer's do."""

from __future__ import annotations

from bench.systems.own import (
    create_then_queue,
    drain,
    enqueue_bulk,
    enqueue_one,
    enqueue_one_in_transaction,
    fill,
    prepare,
    unfinished,
    version,
)

__all__ = [
    "create_then_queue",
    "drain",
    "enqueue_bulk",
    "enqueue_one",
    "enqueue_one_in_transaction",
    "fill",
    "prepare",
    "unfinished",
    "version",
]
