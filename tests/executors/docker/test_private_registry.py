"""Images from a real registry that asks for a password, which the host's options refer to."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from django.core.exceptions import ValidationError
from docker import APIClient

from container_manager.exceptions import ExecutorError, ImageNotFoundError, SecretError
from container_manager.executors.docker import DockerExecutor
from tests.executors.docker.running import ADDRESS, IMAGE, docker_executor, run, spec
from tests.processes import ending, wait_until
from tests.services import require_service

PASSWORD = "r3gistry-password"
HASH = "$2b$05$pPZLOWhz5HvBGJQg1YUDK.UEoETS.RRura3bF5LUfFsUQJPn9Dmr2"
CONFIGURATION = """
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {folder}/data}}}}
http: {{addr: "{address}"}}
auth: {{htpasswd: {{realm: test, path: {folder}/htpasswd}}}}
"""


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a registry that has nothing yet."""
    require_service("registry")
    require_service("docker")
    folder = tmp_path_factory.mktemp("registry")
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    (folder / "htpasswd").write_text(f"robot:{HASH}\n")
    (folder / "config.yml").write_text(CONFIGURATION.format(folder=folder, address=address))
    with (folder / "log").open("w") as log:
        command = ["docker-registry", "serve", str(folder / "config.yml")]
        server = subprocess.Popen(command, stdout=log, stderr=log, text=True)
        with ending(server):
            wait_until(lambda: listens(address) or server.poll() is not None, what="the registry")
            assert server.poll() is None, (folder / "log").read_text()
            yield address


def listens(address: str) -> bool:
    host, port = address.split(":")
    with socket.socket() as connection:
        return connection.connect_ex((host, int(port))) == 0


@pytest.fixture
def image(registry: str) -> Iterator[str]:
    """An image that only the registry has."""
    name = f"{registry}/team/{uuid4().hex}"
    with APIClient(ADDRESS, timeout=60) as client:
        client.tag(IMAGE, name, "v1")
        said = client.push(name, "v1", auth_config={"username": "robot", "password": PASSWORD})
        assert "errorDetail" not in said, said
        client.remove_image(f"{name}:v1", noprune=True)
        yield f"{name}:v1"
        if client.images(name):
            client.remove_image(f"{name}:v1", noprune=True)


@pytest.fixture(autouse=True)
def no_docker_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))


@pytest.fixture
def executor(registry: str) -> Iterator[DockerExecutor]:
    credentials = {"username": "robot", "password": "env:REG_PASSWORD"}
    with docker_executor({"registries": {registry: credentials}}) as one:
        yield one


def failure(executor: DockerExecutor, image: str) -> ExecutorError:
    with pytest.raises(ExecutorError) as refusal:
        executor.create(spec(executor, image=image))
    assert executor.observe() == []
    return refusal.value


@pytest.mark.docker
def test_an_image_is_pulled_with_the_password_that_the_option_refers_to(
    executor: DockerExecutor, image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REG_PASSWORD", PASSWORD)
    assert run(executor, spec(executor, image=image)).exit_code == 0


@pytest.mark.docker
def test_without_credentials_the_image_may_not_be_read(registry: str, image: str) -> None:
    with docker_executor() as executor:
        error = failure(executor, image)
    assert type(error) is ImageNotFoundError
    assert registry in str(error)


@pytest.mark.docker
def test_a_wrong_password_is_for_good_and_named_by_its_registry_only(
    executor: DockerExecutor, registry: str, image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REG_PASSWORD", "wrong-pl4nted")
    error = failure(executor, image)
    assert type(error) is ImageNotFoundError
    assert not error.transient
    assert registry in str(error)
    assert "pl4nted" not in str(error)


@pytest.mark.docker
def test_a_reference_that_leads_nowhere_names_the_registry(
    executor: DockerExecutor, registry: str, image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REG_PASSWORD", raising=False)
    error = failure(executor, image)
    assert type(error) is SecretError
    assert not error.transient
    assert f"The password for the registry {registry}" in str(error)
    assert "REG_PASSWORD" in str(error)


@pytest.mark.parametrize(
    ("registries", "words"),
    [
        ([], "must map registries"),
        ({"r.example": "robot:pl4nted"}, "must map registries"),
        ({"r.example": {"username": "robot"}}, "needs a username and a password for 'r.example'"),
        ({"r.example": {"username": "robot", "password": "pl4nted"}}, "password for 'r.example' that is no reference"),
    ],
)
def test_a_wrong_option_is_refused_and_what_may_be_a_password_not_shown(registries: object, words: str) -> None:
    with pytest.raises(ValidationError, match=words) as refused:
        DockerExecutor.validate_options({"registries": registries})
    assert "pl4nted" not in str(refused.value)
