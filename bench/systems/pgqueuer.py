"""pgqueuer with psycopg: its synchronous queries for queueing, its own worker in batches of 100."""

from __future__ import annotations

import asyncio
from importlib.metadata import version as version_of
from typing import Any

import psycopg
from django.conf import settings
from pgqueuer import PgQueuer
from pgqueuer.db import PsycopgDriver, SyncPsycopgDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries, SyncQueries
from pgqueuer.types import QueueExecutionMode

from bench import noting
from bench.child import StartLine
from bench.noting import Notes, When
from bench.timing import timed

IN_HAND = 100


def version() -> str:
    return version_of("pgqueuer")


def parameters() -> dict[str, Any]:
    database = settings.DATABASES["default"]
    return {
        "dbname": database["NAME"], "host": database["HOST"], "port": database["PORT"],
        "user": database["USER"], "password": database["PASSWORD"] or None, "autocommit": True,
    }  # fmt: skip


def prepare(_: StartLine) -> None:
    async def install() -> None:
        async with await psycopg.AsyncConnection.connect(**parameters()) as connection:
            await Queries(PsycopgDriver(connection)).install()

    asyncio.run(install())


def enqueue_one(start_line: StartLine, count: int) -> dict[str, Any]:
    with psycopg.connect(**parameters()) as connection:
        queries = SyncQueries(SyncPsycopgDriver(connection))
        queries.enqueue("noop", b"0")

        def work() -> None:
            for number in range(count):
                queries.enqueue("noop", str(number).encode())

        return timed(start_line, count, work)


def enqueue_one_in_transaction(start_line: StartLine, count: int) -> dict[str, Any]:
    with psycopg.connect(**parameters()) as connection:
        queries = SyncQueries(SyncPsycopgDriver(connection))
        queries.enqueue("noop", b"0")

        def work() -> None:
            with connection.transaction():
                for number in range(count):
                    queries.enqueue("noop", str(number).encode())

        return timed(start_line, count, work)


def enqueue_bulk(start_line: StartLine, count: int) -> dict[str, Any]:
    with psycopg.connect(**parameters()) as connection:
        queries = SyncQueries(SyncPsycopgDriver(connection))
        queries.enqueue("noop", b"0")

        def work() -> None:
            queries.enqueue(["noop"] * count, [str(number).encode() for number in range(count)], [0] * count)

        return timed(start_line, count, work)


fill = enqueue_bulk


def drain(start_line: StartLine, count: int) -> dict[str, Any]:
    answer: dict[str, Any] = {}

    async def run() -> None:
        async with await psycopg.AsyncConnection.connect(**parameters()) as connection:
            queuer = PgQueuer.from_psycopg_connection(connection)

            @queuer.entrypoint("noop")
            async def noop(job: Job) -> None:
                return None

            loop = asyncio.get_running_loop()
            answer.update(timed(start_line, count, lambda: None))
            await queuer.qm.run(batch_size=IN_HAND, mode=QueueExecutionMode.drain)
            answer["ended"] = loop.time()  # the same monotonic clock

    asyncio.run(run())
    return answer


def unfinished(_: StartLine) -> dict[str, int]:
    with psycopg.connect(**parameters()) as connection:
        row = connection.execute("SELECT count(*) FROM pgqueuer").fetchone()
    return {"count": row[0] if row else 0}


def serve(start_line: StartLine) -> None:
    """Until it is killed."""

    async def run() -> None:
        async with await psycopg.AsyncConnection.connect(**parameters()) as connection:
            queuer = PgQueuer.from_psycopg_connection(connection)

            @queuer.entrypoint("note")
            async def note(job: Job) -> None:
                noting.note((job.payload or b"").decode())

            start_line()
            await queuer.qm.run(batch_size=IN_HAND)

    asyncio.run(run())


def pick_up(start_line: StartLine, path: str, count: int) -> dict[str, float]:
    notes = Notes(path)
    with psycopg.connect(**parameters()) as connection:
        queries = SyncQueries(SyncPsycopgDriver(connection))

        def queue() -> When:
            queries.enqueue("note", path.encode())
            return notes.expect()

        return noting.pick_up(start_line, count, queue)
