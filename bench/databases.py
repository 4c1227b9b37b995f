"""Databases that live for one measurement, on each of the three servers."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from django.db.utils import ConnectionHandler

from tests.databases import configuration

_numbers = itertools.count()
LONGEST_NAME: Final = 60


@contextmanager
def database(kind: str, label: str) -> Iterator[str]:
    """The name of a new, empty database of ``kind``; it is dropped afterwards, whoever is still connected."""
    if kind == "sqlite":
        with tempfile.TemporaryDirectory(prefix="cm_bench_") as folder:
            yield str(Path(folder) / f"{label}.sqlite3")
        return
    name = f"cm_bench_{os.getpid()}_{next(_numbers)}_{label}"[:LONGEST_NAME]
    force = " WITH (FORCE)" if kind == "postgres" else ""
    quote = '"' if kind == "postgres" else "`"
    run_on_server(kind, f"CREATE DATABASE {quote}{name}{quote}")
    try:
        yield name
    finally:
        run_on_server(kind, f"DROP DATABASE {quote}{name}{quote}{force}")


def run_on_server(kind: str, *statements: str) -> list[Any]:
    """The rows of the last of ``statements``, each run outside a transaction on the server of ``kind``."""
    return run_in(kind, None, *statements)


def run_in(kind: str, name: str | None, *statements: str) -> list[Any]:
    """As ``run_on_server``, in the database ``name``."""
    rows: list[Any] = []
    with session(kind, name) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
            rows = list(cursor.fetchall()) if cursor.description else []
    return rows


@contextmanager
def session(kind: str, name: str | None = None) -> Iterator[Any]:
    """A connection of its own."""
    settings = configuration(kind)
    if name is not None:
        settings["NAME"] = name
    connection = ConnectionHandler({"default": settings})["default"]
    try:
        yield connection
    finally:
        connection.close()


def settle(kind: str, name: str) -> None:
    """Statistics are fresh, and what was written before no longer burdens what is measured next."""
    if kind == "postgres":
        run_in(kind, name, "VACUUM ANALYZE", "CHECKPOINT")
    elif kind == "mariadb":
        tables = [row[0] for row in run_in(kind, name, "SHOW TABLES")]
        if tables:
            run_in(kind, name, "ANALYZE TABLE " + ", ".join(f"`{table}`" for table in tables))
    else:
        run_in(kind, name, "ANALYZE", "PRAGMA wal_checkpoint(TRUNCATE)")


def version(kind: str) -> str:
    """The server's own words."""
    statement = "SELECT sqlite_version()" if kind == "sqlite" else "SELECT version()"
    return str(run_on_server(kind, statement)[0][0])
