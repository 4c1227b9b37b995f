"""The probes: one word, true of this process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from django.test import Client

ROOT = Path(__file__).resolve().parents[2]


def test_a_process_that_answers_is_alive_and_asks_no_database(client: Client) -> None:
    answer = client.get("/queue/health/live")  # pytest-django refuses the database to this test
    assert (answer.status_code, answer.content) == (200, b"ok\n")
    assert client.post("/queue/health/live").status_code == 405


@pytest.mark.django_db
def test_it_is_ready_when_the_queue_can_be_read(client: Client) -> None:
    answer = client.get("/queue/health/ready")
    assert (answer.status_code, answer.content) == (200, b"ok\n")
    assert "no-store" in answer["Cache-Control"]


def test_it_is_not_ready_without_its_tables(tmp_path: Path) -> None:
    code = """
import os
os.environ["TEST_DATABASE"] = "sqlite"
os.environ["TEST_DATABASE_NAME"] = os.path.join(os.getcwd(), "empty.sqlite3")
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
import django
django.setup()
from django.test import Client
client = Client()
for path in ("live", "ready"):
    answer = client.get(f"/queue/health/{path}")
    print(answer.status_code, answer.content.decode().strip())
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={"PYTHONPATH": str(ROOT)},
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.splitlines() == ["200 ok", "503 unavailable"]
