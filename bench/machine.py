"""What a result has to say about where it comes from."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import psutil

from bench import databases

PACKAGES: Final = (
    "django", "psycopg", "procrastinate", "pgqueuer", "django-tasks-db", "django-q2", "huey", "celery", "docker",
)  # fmt: skip


def commit() -> str:
    """The checked-out commit; ``+`` when files of the package or the measurements differ from it."""
    root = Path(__file__).resolve().parent.parent

    def git(*arguments: str) -> str:
        answer = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
        return answer.stdout.strip()

    changed = git("status", "--porcelain", "--", "container_manager", "bench/*.py", "bench/*/*.py")
    return f"{git('rev-parse', '--short', 'HEAD') or 'unknown'}{'+' if changed else ''}"


def describe(kind: str) -> dict[str, Any]:
    """Commit, machine, versions and the database's settings that matter."""
    return {
        "commit": commit(),
        "python": platform.python_version(),
        "machine": {
            "processor": _processor(),
            "cores": os.cpu_count(),
            "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
            "system": f"{platform.system()} {platform.release()}",
        },
        "database": {"kind": kind, "version": databases.version(kind), **_settings(kind)},
        "packages": {name: metadata.version(name) for name in PACKAGES},
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _settings(kind: str) -> dict[str, str]:
    if kind == "postgres":
        names = ("fsync", "synchronous_commit", "shared_buffers", "max_wal_size", "full_page_writes", "wal_level")
        return {name: str(databases.run_on_server(kind, f"SHOW {name}")[0][0]) for name in names}
    if kind == "mariadb":
        names = ("innodb_flush_log_at_trx_commit", "innodb_buffer_pool_size", "sync_binlog")
        return {name: str(databases.run_on_server(kind, f"SELECT @@{name}")[0][0]) for name in names}
    return {"journal_mode": "WAL", "synchronous": "NORMAL"}
