"""The command as a whole: where it is started from, terminals, pipes, and trouble in one line."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from container_manager.management import exits, log_lines
from container_manager.models import ContainerJob, ExecutorHost
from tests.cli.conftest import Containers
from tests.processes import ROOT, child_environment

MODULE = (sys.executable, "-m", "container_manager")


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = {**child_environment(), **environment}
    return subprocess.run(
        [*MODULE, *arguments], cwd=ROOT, text=True, capture_output=True, timeout=60, check=False, env=variables
    )


def on_a_terminal(*arguments: str, **environment: str) -> str:
    """What a person sees."""
    ours, theirs = pty.openpty()
    variables = {**child_environment(), "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "40", **environment}
    seen = b""
    with subprocess.Popen([*MODULE, *arguments], cwd=ROOT, stdout=theirs, stderr=theirs, env=variables):
        os.close(theirs)
        # An error is Linux's way to say that the other side has closed.
        with contextlib.suppress(OSError):
            while piece := os.read(ours, 65_536):
                seen += piece
    os.close(ours)
    return seen.decode()


def test_every_exit_code_is_in_the_help() -> None:
    codes = {value for name, value in vars(exits).items() if name.isupper() and isinstance(value, int)}
    assert codes == {int(found) for found in re.findall(r"\b(\d+) [a-z]", exits.SUMMARY)}
    answer = run("--help")
    assert (answer.returncode, "Exit codes: 0 done" in answer.stdout) == (0, True)


@pytest.mark.django_db(transaction=True)
def test_a_terminal_gets_colours_and_narrow_tables_and_a_pipe_gets_text() -> None:
    job = ContainerJob.objects.create(command=["echo", "word " * 40], name="evil\x1b[31m", status="completed")
    seen = on_a_terminal("list")
    assert "\x1b[32mcompleted" in seen
    assert "evil\\x1b[31m" in seen
    assert "…" in seen
    assert "priority" not in seen
    assert max(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in seen.splitlines()) <= 80
    for plain in (on_a_terminal("list", NO_COLOR="1"), on_a_terminal("--no-color", "list"), run("list").stdout):
        assert "\x1b" not in plain
        assert job.pk.hex[-12:] in plain
    assert "\x1b[31m" in on_a_terminal("show", "ffffffffffff").replace("\x1b[1m", "").replace("\x1b[31;1m", "\x1b[31m")
    assert "\x1b" not in on_a_terminal("show", "ffffffffffff", NO_COLOR="1")


@pytest.mark.django_db(transaction=True)
def test_tables_do_not_need_rich(tmp_path: Path) -> None:
    (tmp_path / "rich").mkdir()
    (tmp_path / "rich" / "__init__.py").write_text("raise ImportError('not installed')")
    ContainerJob.objects.create(command="true", status="completed")
    seen = on_a_terminal("list", PYTHONPATH=f"{tmp_path}:{ROOT}")
    assert "completed" in seen
    assert "\x1b[32m" not in seen


@pytest.mark.django_db(transaction=True)
def test_a_reader_that_leaves_early_causes_no_traceback() -> None:
    ContainerJob.objects.bulk_create([ContainerJob(command="true " + "x" * 100) for _ in range(2_000)])
    with subprocess.Popen(
        [*MODULE, "list", "--all"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=child_environment()
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.read(10)
        process.stdout.close()
        complaint = process.stderr.read()
    assert (process.returncode, complaint) == (exits.BROKEN_PIPE, b"")


def test_a_database_that_is_not_ready_is_told_in_one_line(tmp_path: Path) -> None:
    settings = tmp_path / "unready.py"
    settings.write_text(
        "INSTALLED_APPS = ['django.contrib.contenttypes', 'django.contrib.auth', 'container_manager']\n"
        "SECRET_KEY = 'x'\nUSE_TZ = True\n"
        f"DATABASES = {{'default': {{'ENGINE': 'django.db.backends.sqlite3', 'NAME': {str(tmp_path / 'db')!r}}}}}\n"
    )
    variables = {**os.environ, "DJANGO_SETTINGS_MODULE": "unready", "PYTHONPATH": f"{ROOT}:{tmp_path}"}
    for verb in ("list", "stats", "worker", "run"):
        answer = subprocess.run(
            [*MODULE, verb, *(["true"] if verb == "run" else [])],
            cwd=ROOT, text=True, capture_output=True, timeout=60, check=False, env=variables,
        )  # fmt: skip
        assert answer.returncode == exits.ERROR
        assert "manage.py migrate" in answer.stderr
        assert len(answer.stderr.splitlines()) == 1, answer.stderr


@pytest.mark.django_db(transaction=True)
def test_a_project_whose_views_are_broken_can_still_be_operated(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("from tests.settings import *\nROOT_URLCONF = 'no_such_module'\n")
    variables = {"DJANGO_SETTINGS_MODULE": "broken", "PYTHONPATH": f"{ROOT}:{tmp_path}"}
    for verb in ("list", "check"):
        answer = run(verb, **variables)
        assert answer.returncode == 0, answer.stderr


@pytest.mark.django_db(transaction=True)
def test_a_wrong_setting_stops_the_command_and_check_puts_it_in_its_table() -> None:
    wrong = {"TEST_CONTAINER_MANAGER": '{"POL_INTERVAL": 1}'}
    answer = run("list", **wrong)
    assert (answer.returncode, "POLL_INTERVAL" in answer.stderr) == (exits.ERROR, True)
    answer = run("check", **wrong)
    assert (answer.returncode, "POLL_INTERVAL" in answer.stdout) == (exits.ERROR, True)
    assert "database default" in answer.stdout


def test_the_module_says_which_settings_it_lacks() -> None:
    bare = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    for variables, complaint in (
        (bare, "Set DJANGO_SETTINGS_MODULE"),
        ({**bare, "DJANGO_SETTINGS_MODULE": "no_such"}, "no_such"),
    ):
        answer = subprocess.run(
            [*MODULE, "list"], cwd=ROOT, text=True, capture_output=True, timeout=60, check=False, env=variables
        )
        assert answer.returncode == exits.ERROR
        assert complaint in answer.stderr
        assert len(answer.stderr.splitlines()) == 1


@pytest.mark.django_db
def test_an_error_of_the_queue_is_one_line(containers: Containers) -> None:
    job = ContainerJob.objects.create(command="x", status="completed")
    assert len(containers("retry", str(job.pk)).err.splitlines()) == 1


@pytest.mark.django_db(transaction=True)
def test_a_worker_logs_json_lines_with_job_and_worker(process_host: ExecutorHost) -> None:
    assert run("run", "--", "sh", "-c", "exit 3").returncode == 0
    answer = run("worker", "--drain", "--poll-interval", "0.1", "--log-format", "json")
    assert answer.returncode == 0
    lines = [json.loads(line) for line in answer.stderr.splitlines()]
    job = str(ContainerJob.objects.get().pk)
    moves = {line["verb"]: line for line in lines if line.get("job") == job}
    assert {"claim", "start", "fail"} <= moves.keys()
    assert (moves["fail"]["level"], moves["fail"]["attempt"]) == ("warning", 1)
    assert len({line["worker"] for line in lines}) == 1


def test_a_json_line_has_the_exception_and_no_second_line() -> None:
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        record = logging.LogRecord("n", logging.ERROR, __file__, 1, "of %s", ("x",), sys.exc_info())
    record.host = "docker"
    line = log_lines.JsonFormatter({"worker": "w"}).format(record)
    assert "\n" not in line
    values = json.loads(line)
    assert (values["message"], values["host"], values["worker"]) == ("of x", "docker", "w")
    assert "ValueError: first\nsecond" in values["exception"]
