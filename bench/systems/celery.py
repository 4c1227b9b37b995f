"""Celery with Redis: no database, so nothing of it joins a transaction. Its worker is told to stop when all is done."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from importlib.metadata import version as version_of
from typing import Any

import celery
import redis
from celery.worker import state
from django.conf import settings

from bench import noting
from bench.child import StartLine
from bench.noting import Notes, When
from bench.timing import timed, wait_while

URL = os.environ.get("BENCH_REDIS_URL", "redis://127.0.0.1:6379/9")
QUEUE = str(settings.DATABASES["default"]["NAME"])
app = celery.Celery("bench", broker=URL, set_as_current=False)
app.conf.update(
    task_default_queue=QUEUE, task_ignore_result=True, worker_hijack_root_logger=False, worker_redirect_stdouts=False
)
broker = redis.Redis.from_url(URL)


@app.task(name="noop")
def noop(number: int) -> None:
    return None


@app.task(name="note")
def note(path: str) -> None:
    noting.note(path)


def version() -> str:
    return version_of("celery")


def prepare(_: StartLine) -> None:
    broker.delete(QUEUE)


def forget(_: StartLine) -> None:
    """Nothing in Redis bears the queue's name."""
    for key in list(broker.scan_iter(f"*{QUEUE}*")):
        broker.delete(key)


def enqueue_one(start_line: StartLine, count: int) -> dict[str, Any]:
    noop.delay(0)

    def work() -> None:
        for number in range(count):
            noop.delay(number)

    return timed(start_line, count, work)


def fill(start_line: StartLine, count: int) -> dict[str, Any]:
    return enqueue_one(start_line, count)


def drain(start_line: StartLine, count: int) -> dict[str, Any]:
    worker = app.Worker(pool="solo", queues=[QUEUE], without_gossip=True, without_mingle=True, loglevel="ERROR")
    ended = 0.0

    def stop_when_done() -> None:
        nonlocal ended
        wait_while(lambda: broker.llen(QUEUE) or broker.hlen("unacked"))
        ended = time.monotonic()
        state.should_stop = 0

    def work() -> None:
        watcher = threading.Thread(target=stop_when_done)
        watcher.start()
        with contextlib.suppress(SystemExit):
            worker.start()
        watcher.join()

    return {**timed(start_line, count, work), "ended": ended}


def unfinished(_: StartLine) -> dict[str, int]:
    return {"count": int(broker.llen(QUEUE))}


def serve(start_line: StartLine) -> None:
    """Until it is killed."""
    start_line()
    app.Worker(pool="solo", queues=[QUEUE], without_gossip=True, without_mingle=True, loglevel="ERROR").start()


def pick_up(start_line: StartLine, path: str, count: int) -> dict[str, float]:
    notes = Notes(path)

    def queue() -> When:
        note.delay(path)
        return notes.expect()

    return noting.pick_up(start_line, count, queue)
