"""What this package's readers wait for beside very many jobs: the statistics and the admin's pages."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import setup_test_environment
from django.urls import reverse

from bench import filling
from bench.child import BenchError, StartLine
from bench.rows import JOBS
from bench.systems.own import prepare, version
from bench.timing import each_timed
from container_manager import queue_manager
from container_manager.models import ContainerJob
from container_manager.states import Status

__all__ = ["fill", "page", "prepare", "stats", "stats_by_hand", "version"]
BY_HAND = f"""
SELECT count(*) FILTER (WHERE retry_count < max_retries), count(*) FILTER (WHERE scheduled_for > now()),
    (SELECT count(*) FROM {JOBS} WHERE status = 'running'), count(*) FILTER (WHERE retry_count >= max_retries)
FROM {JOBS} WHERE status = 'queued'
"""  # noqa: S608 - our own names


def fill(_: StartLine, queued: int, finished: int) -> dict[str, Any]:
    filling.finished(finished, filling.ready(queued))
    User.objects.create_superuser("boss")
    return {}


def stats(start_line: StartLine, count: int) -> dict[str, float]:
    return each_timed(start_line, count, queue_manager.get_queue_stats)


def stats_by_hand(start_line: StartLine, count: int) -> dict[str, float]:
    """The same four numbers by one statement."""

    def once() -> None:
        with connection.cursor() as cursor:
            cursor.execute(BY_HAND)
            cursor.fetchall()

    return each_timed(start_line, count, once)


def page(start_line: StartLine, which: str, count: int) -> dict[str, float]:
    """One of the pages of the question ``pages``: all that the server does for it."""
    setup_test_environment()
    client = Client()
    client.force_login(User.objects.get())
    address = _address(which)
    size = 0

    def once() -> None:
        nonlocal size
        answer = client.get(address)
        size = len(answer.content)
        if answer.status_code != 200:
            raise BenchError(f"{address} answered {answer.status_code}.")

    once()
    return {**each_timed(start_line, count, once), "kilobytes": size / 1_000}


def _address(which: str) -> str:
    changelist = reverse("admin:container_manager_containerjob_changelist")
    if which == "dashboard":
        return reverse("admin:app_list", args=["container_manager"])
    if which == "job":
        return reverse("admin:container_manager_containerjob_change", args=[_middle().pk])
    if which == "list, completed, deep":
        job = _middle()
        assert job.finished_at is not None
        return f"{changelist}?status=completed&before={job.pk}@{job.finished_at.isoformat().replace('+', '%2B')}"
    query = {
        "list": "", "list, queued": "?status=queued", "list, completed": "?status=completed",
        "list, searched": "?search=nothing+like+it",
    }[which]  # fmt: skip
    return changelist + query


def _middle() -> ContainerJob:
    ended = ContainerJob.objects.filter(status=Status.COMPLETED)
    return ended.order_by("finished_at", "id")[ended.count() // 2]
