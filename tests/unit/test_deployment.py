"""The files of ``deploy/`` for Compose and systemd: whole, and in step with the commands and the settings they name."""

from __future__ import annotations

import configparser
import functools
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from container_manager.management.commands.containers import Command

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE = DEPLOY / "compose.yaml"
DOCKERFILE = DEPLOY / "Dockerfile"
UNIT = DEPLOY / "containers-worker.service"
SOCKET = "/var/run/docker.sock"


@functools.cache
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
    return loaded


def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = compose()["services"]
    return found


def parsed_arguments(command: list[str]) -> dict[str, Any]:
    """What ``manage.py containers`` makes of a command line. Exits when it is none."""
    assert command[1:3] == ["manage.py", "containers"], command
    parser = Command().create_parser("manage.py", "containers")
    return vars(parser.parse_args(command[3:]))


def required_variables() -> dict[str, str]:
    """The variables that Compose refuses to do without, each with what it says then."""
    return dict(re.findall(r"\$\{(\w+):\?([^}]+)\}", COMPOSE.read_text()))


def unit() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(UNIT.read_text())
    return parser


def test_compose_has_its_services_and_each_waits_for_what_can_be_waited_for() -> None:
    assert set(services()) == {"database", "set-up", "web", "worker"}
    for name, service in services().items():
        for needed, how in service.get("depends_on", {}).items():
            assert needed in services(), f"{name} waits for {needed}"
            if how["condition"] == "service_healthy":
                assert "healthcheck" in services()[needed], f"{needed} never becomes healthy"
            else:
                assert how["condition"] == "service_completed_successfully"
                assert services()[needed].get("restart", "no") == "no", f"{needed} would never be done"


def test_volumes_are_declared_or_the_engines_socket_which_the_web_server_does_not_get() -> None:
    with_socket = set()
    for name, service in services().items():
        for volume in service.get("volumes", []):
            source, target = volume.split(":")[:2]
            if source == SOCKET:
                assert target == SOCKET
                with_socket.add(name)
            else:
                assert source in compose()["volumes"]
    assert with_socket == {"set-up", "worker"}
    assert {services()[name]["hostname"] for name in with_socket} == {services()["worker"]["hostname"]}


def test_what_compose_sets_is_read_by_the_project_and_what_it_asks_for_is_in_its_instructions() -> None:
    read = "".join(path.read_text() for path in (ROOT / "demo").glob("*.py"))
    for variable in services()["worker"]["environment"]:
        assert f'"{variable}"' in read, f"nothing reads {variable}"
    instructions = COMPOSE.read_text().split("\n\n", maxsplit=1)[0]
    assert set(required_variables()) == set(re.findall(r"(\w+)=", instructions))


def test_the_commands_of_compose_exist_and_take_their_arguments() -> None:
    for name in ("set-up", "web", "worker"):
        python, script, *_ = services()[name]["command"]
        assert python == "python"
        assert (ROOT / "demo" / script).is_file()
    options = parsed_arguments(services()["worker"]["command"])
    assert (options["verb"], options["log_format"]) == ("worker", "json")
    assert options["health_file"] in services()["worker"]["healthcheck"]["test"][1]


@pytest.mark.parametrize(("age", "is_healthy"), [(0, True), (3600, False)])
def test_the_workers_health_check_judges_by_the_age_of_its_file(age: int, is_healthy: bool, tmp_path: Path) -> None:
    kind, script = services()["worker"]["healthcheck"]["test"]
    assert kind == "CMD-SHELL"
    alive = tmp_path / "alive"
    alive.touch()
    os.utime(alive, (alive.stat().st_mtime - age,) * 2)
    line = script.replace("$$", "$").replace("/tmp/alive", str(alive))  # noqa: S108 - the container's
    assert (subprocess.run(["sh", "-c", line], check=False).returncode == 0) is is_healthy


def test_compose_itself_accepts_the_file() -> None:
    docker = shutil.which("docker")
    has_plugin = docker and subprocess.run([docker, "compose", "version"], capture_output=True, check=False)
    if not docker or not has_plugin or has_plugin.returncode:
        pytest.skip("docker compose is not installed")
    variables = {**os.environ, **dict.fromkeys(required_variables(), "1")}
    command = [docker, "compose", "-f", str(COMPOSE), "config", "--quiet"]
    checked = subprocess.run(command, capture_output=True, text=True, env=variables, check=False)
    assert checked.returncode == 0, checked.stderr


def test_the_image_is_built_from_files_and_extras_that_exist() -> None:
    assert (COMPOSE.parent / services()["worker"]["build"]["context"]).resolve() == ROOT
    assert ROOT / services()["worker"]["build"]["dockerfile"] == DOCKERFILE
    text = DOCKERFILE.read_text()
    for line in re.findall(r"^COPY (.+)$", text, re.MULTILINE):
        for source in line.split()[:-1]:
            assert list(ROOT.glob(source)), f"COPY {source}"
    (extras,) = re.findall(r"/src\[([\w,]+)\]", text)
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(extras.split(",")) <= set(known)
    (command,) = re.findall(r"^CMD \[(.+)\]$", text, re.MULTILINE)
    assert parsed_arguments([word.strip().strip('"') for word in command.split(",")])["verb"] == "worker"


def test_the_unit_starts_a_worker_and_stops_nothing_but_it() -> None:
    service = unit()["Service"]
    options = parsed_arguments(shlex.split(service["ExecStart"]))
    assert (options["verb"], options["log_format"]) == ("worker", "json")
    # %t is /run, where RuntimeDirectory makes a folder that the user may write to.
    assert Path(options["health_file"]).parent == Path("%t") / service["RuntimeDirectory"]
    assert (service["KillMode"], service["Restart"]) == ("process", "always")
    assert service["PrivateTmp"] == "false"
    assert unit()["Install"]["WantedBy"] == "multi-user.target"


def test_systemd_itself_accepts_the_unit(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if not analyze:
        pytest.skip("systemd-analyze is not installed")
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text().replace("/srv/project/.venv/bin/python", sys.executable))
    checked = subprocess.run([analyze, "verify", "--man=no", str(copy)], capture_output=True, text=True, check=False)
    ours = [line for line in checked.stderr.splitlines() if UNIT.name in line]
    assert ours == []
