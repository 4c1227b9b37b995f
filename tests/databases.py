"""
The databases the suite runs on, and whether they answer.

PostgreSQL obeys libpq's own variables, MariaDB those of its client; the defaults are what a
developer's machine has: trust for ``postgres``, ``root`` without a password, both on 127.0.0.1.
"""

from __future__ import annotations

import os
from typing import Any, Final

from django.core.exceptions import ImproperlyConfigured
from django.db import Error
from django.db.utils import ConnectionHandler

NAMES: Final = ("sqlite", "postgres", "mariadb")


def configuration(name: str) -> dict[str, Any]:
    """
    Django's settings for the database ``name``, which is one of ``NAMES``.

    ``TEST_DATABASE_NAME`` is the database that a run has created: it reaches the processes
    that a test starts. Without it, the name is one that always exists.
    """
    if name not in NAMES:
        raise ImproperlyConfigured(f"TEST_DATABASE is {name!r}; it must be one of {', '.join(NAMES)}.")
    created = os.environ.get("TEST_DATABASE_NAME")
    if name == "postgres":
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": created or "postgres",
            "HOST": os.environ.get("PGHOST", "127.0.0.1"),
            "PORT": os.environ.get("PGPORT", "5432"),
            "USER": os.environ.get("PGUSER", "postgres"),
            "PASSWORD": os.environ.get("PGPASSWORD", ""),
            "OPTIONS": {"connect_timeout": 5},
        }
    if name == "mariadb":
        return {
            "ENGINE": "django.db.backends.mysql",
            "NAME": created or "mysql",
            "HOST": os.environ.get("MYSQL_HOST", "127.0.0.1"),
            "PORT": os.environ.get("MYSQL_TCP_PORT", "3306"),
            "USER": os.environ.get("MYSQL_USER", "root"),
            "PASSWORD": os.environ.get("MYSQL_PWD", ""),
            "OPTIONS": {"isolation_level": "read committed", "charset": "utf8mb4", "connect_timeout": 5},
            "TEST": {"CHARSET": "utf8mb4"},
        }
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": created or ":memory:",
        "OPTIONS": {
            "timeout": 30,
            "transaction_mode": os.environ.get("TEST_SQLITE_MODE", "IMMEDIATE"),
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
        },
    }


def absence(name: str) -> str:
    """Why the database ``name`` cannot be used now, in one line; empty when it answers."""
    handler = ConnectionHandler({"default": configuration(name)})
    try:
        connection = handler["default"]
        connection.ensure_connection()
        connection.close()
    except (Error, ImproperlyConfigured) as error:
        return str(error).strip().splitlines()[0]
    return ""
