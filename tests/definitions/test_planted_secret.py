"""Secrets are planted, jobs and handlers do their worst with them, and then everything that is kept is searched."""

from __future__ import annotations

import base64
import json
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.core.files.base import ContentFile
from django.db import connection

from container_manager import queue_manager
from container_manager.hosts import node_name
from container_manager.masking import MASK
from container_manager.models import ContainerJob, ExecutorHost, HandlerCall, JobEvent
from container_manager.states import Outcome, Status
from tests.processes import ending, spawn
from tests.video.container_jobs import Transcode
from tests.worker.container_engines import DOCKER

pytestmark = pytest.mark.django_db(transaction=True)

TOKEN = 'pl4nted "token" 7Qx/9+Zk&=ü'
PLAIN = "pl4nted-9f2c71"
KEY = "-----BEGIN KEY-----\nMIIEpl4ntedAAAABBBB\nCCCCDDDDpl4nted\n-----END KEY-----"
SECRETS: Any = {
    "TOKEN": {"reference": "env:PLANTED_TOKEN", "as": "environment"},
    "KEY": "env:PLANTED_KEY",
}
PRINT = 'echo "$TOKEN"; cat "$CM_SECRETS_DIR/KEY"; echo; echo "::progress 40 with $TOKEN"; '
CODED = 'printf "%s" "$TOKEN" | base64; printf "me:%s" "$TOKEN" | base64; printf "me2:%s:x" "$TOKEN" | base64; '
SETTINGS = {
    "HANDLER_MAX_TRIES": 1,
    "RETRY_POLICIES": {"again": {"first_delay": 0.1, "longest_delay": 0.1, "max_reruns": 1,
                                 "rules": [{"retry": True, "outcomes": ["app_error"]}]}},
}  # fmt: skip


@pytest.fixture(params=["process", pytest.param("docker", marks=pytest.mark.docker)])
def host(request: pytest.FixtureRequest, transactional_db: None, tmp_path: Path) -> Iterator[ExecutorHost]:
    if request.param == "docker":
        with DOCKER.host() as host:
            yield host
        return
    yield ExecutorHost.objects.create(
        name="process", executor_type="process", node=node_name(),
        options={"state_directory": str(tmp_path / "state")},
    )  # fmt: skip


def job(script: str, **fields: Any) -> ContainerJob:
    secrets = fields.pop("secrets", SECRETS)
    return ContainerJob(image="busybox:local", command=["sh", "-c", script], secrets=secrets, **fields)


def run_worker(media: Path) -> str:
    """Everything that a worker has said, in its most talkative way, until nothing was left to do."""
    environment = {
        "TEST_MEDIA_ROOT": str(media), "TEST_HANDLERS": "tests.definitions.leaks", "TEST_VERBOSITY": "2",
        "ACME_TOKEN": PLAIN,
        "PLANTED_TOKEN": TOKEN, "PLANTED_KEY": KEY, "TEST_CONTAINER_MANAGER": json.dumps(SETTINGS),
    }  # fmt: skip
    options = ("--drain", "--poll-interval", "0.1", "--log-format", "json")
    with tempfile.TemporaryFile("w+") as said:
        worker: subprocess.Popen[str] = spawn(
            "-m", "tests.faults.worker", "never", "1", "KILL", *options, environment=environment, stdout=said
        )
        with ending(worker):
            code = worker.wait(timeout=200)
        said.seek(0)
        text = said.read()
    assert code == 0, text[-3_000:]
    return text


def test_a_planted_secret_is_found_nowhere(host: ExecutorHost, tmp_path: Path, settings: Any) -> None:
    settings.MEDIA_ROOT = str(tmp_path / "media")
    settings.CONTAINER_MANAGER = {**settings.CONTAINER_MANAGER, **SETTINGS}
    good = job(PRINT + CODED)
    failing = job(PRINT + 'echo "$TOKEN" >&2; exit 3', retry_policy="again")
    shows_processes = job("cat /proc/self/cmdline /proc/$PPID/cmdline | tr '\\0' ' '")
    not_started = job("", entrypoint=["/no/such/program"])
    unresolved = job("true", secrets={**SECRETS, "OTHER": "env:NOT_SET_ANYWHERE"})
    loud_provider = job("true", secrets={**SECRETS, "OTHER": "tests.definitions.leaks.provider:item"})
    queue_manager.queue_jobs([good, failing, shows_processes, not_started, unresolved, loud_provider])
    with_result = Transcode.queue(video=ContentFile(b"some film", name="film.mov"))
    said = run_worker(Path(settings.MEDIA_ROOT))

    jobs = [good, failing, shows_processes, not_started, unresolved, loud_provider, with_result]
    for one in jobs:
        one.refresh_from_db()
    assert [one.status for one in jobs] == [
        Status.COMPLETED, Status.FAILED, Status.COMPLETED, Status.FAILED, Status.FAILED, Status.FAILED,
        Status.COMPLETED,
    ], [one.error for one in jobs]  # fmt: skip
    # The test has teeth: everybody who should have had the secret had it, and said it.
    assert good.output().count(MASK) == 6
    assert good.progress_text == f"with {MASK}"
    assert (failing.attempt, failing.exit_code) == (2, 3)
    assert MASK in failing.output(stream="stderr")
    assert MASK not in shows_processes.output()
    assert "cat" in shows_processes.output()
    assert not_started.outcome == Outcome.CONFIG_ERROR
    assert "OTHER" in unresolved.error
    assert "raised ValueError" in loud_provider.error
    assert with_result.result["token"] == MASK
    calls = HandlerCall.objects.filter(job_id=good.pk)
    assert [MASK in call.last_error for call in calls] == [True]
    assert JobEvent.objects.exists()
    assert len(said) > 10_000

    for name, text in {"log": said, **dict(tables())}.items():
        found = [form for form in forms_of(TOKEN, PLAIN, KEY) if form in text]
        assert not found, f"{name} holds {found[0]!r}: ...{excerpt(text, found[0])}..."


def tables() -> Iterator[tuple[str, str]]:
    """Every table of the database with all that is in it."""
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")  # noqa: S608
            yield table, "\n".join(text_of(value) for row in cursor.fetchall() for value in row)


def text_of(value: Any) -> str:
    if isinstance(value, bytes | memoryview):
        return bytes(value).decode(errors="replace")
    return str(value)


def forms_of(*secrets: str) -> Iterator[str]:
    """Each secret as it is, as JSON and addresses have it, its long lines, and its middle in base64."""
    for secret in secrets:
        yield secret
        yield json.dumps(secret)[1:-1]
        yield repr(secret)[1:-1]
        yield quote(secret, safe="")
        yield from (line for line in secret.splitlines() if "pl4nted" in line)
        for before in range(3):
            yield base64.b64encode(b"?" * before + secret.encode()).decode()[4:-8]
    yield "pl4nted"


def excerpt(text: str, found: str) -> str:
    place = text.index(found)
    return text[max(0, place - 200) : place + 200]
