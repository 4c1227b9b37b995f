"""Images: when they are pulled, once for all who want it, and what a failed pull is."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from docker import APIClient

from container_manager.exceptions import (
    ExecutorError,
    ImageNotFoundError,
    ImagePullError,
    SpecificationError,
)
from container_manager.executors.docker import DockerExecutor
from container_manager.executors.docker.client import Engine
from container_manager.executors.docker.options import DockerOptions
from container_manager.executors.docker.pull import ImagePuller
from container_manager.specs import ExecutionState, PullProgress
from container_manager.states import Outcome
from tests.executors.docker.registry import Registry, digest_of, registry_with
from tests.executors.docker.running import ADDRESS, docker_executor, inspect, spec

pytestmark = pytest.mark.docker


@pytest.fixture
def registry() -> Iterator[Registry]:
    """A registry with an image that the engine does not have yet; afterwards it does not have it again."""
    with registry_with(uuid4().hex) as one:
        yield one
        with APIClient(ADDRESS, timeout=20) as client:
            for image in client.images():
                if any(
                    name.startswith(one.address) for name in (image["RepoTags"] or []) + (image["RepoDigests"] or [])
                ):
                    client.remove_image(image["Id"], force=True)


@pytest.fixture
def image(registry: Registry) -> str:
    return f"{registry.address}/team/job:v1"


def failure(executor: DockerExecutor, image: str) -> ExecutorError:
    """What creating a job of ``image`` raised; nothing was created."""
    with pytest.raises(ExecutorError) as refusal:
        executor.create(spec(executor, image=image))
    assert executor.observe() == []
    return refusal.value


def test_a_missing_image_is_pulled_and_its_progress_told(
    executor: DockerExecutor, registry: Registry, image: str
) -> None:
    told: list[PullProgress] = []
    executor.on_progress = told.append
    handle = executor.create(spec(executor, image=image))
    assert inspect(handle)["Config"]["Image"] == image
    assert (told[-1].image, told[-1].layers_done, told[-1].layers) == (image, 1, 1)
    requests = registry.requests["manifest"]
    executor.create(spec(executor, image=image))
    assert registry.requests["manifest"] == requests


@pytest.mark.parametrize("reference", ["{name}@{digest}", "{name}:v1@{digest}", "{name}"])
def test_an_image_may_be_named_by_its_digest_or_without_a_tag(
    executor: DockerExecutor, registry: Registry, reference: str
) -> None:
    image = reference.format(name=f"{registry.address}/team/job", digest=digest_of(registry.manifest))
    handle = executor.create(spec(executor, image=image))
    assert inspect(handle)["Config"]["Image"] == image


def test_a_listener_that_fails_does_not_fail_the_pull(
    executor: DockerExecutor, image: str, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(progress: PullProgress) -> None:
        raise RuntimeError("not listening")

    executor.on_progress = refuse
    executor.create(spec(executor, image=image))
    assert "not listening" in caplog.text


def test_always_pulls_a_newer_image_but_adopts_what_exists(registry: Registry, image: str) -> None:
    with docker_executor({"pull_policy": "always"}) as executor:
        wanted = spec(executor, image=image)
        first = executor.create(wanted)
        registry.manifest_status, registry.manifest_error = 503, "UNAVAILABLE"
        assert executor.create(wanted) == first
        assert isinstance(failure_beside(executor, image), ImagePullError)


def failure_beside(executor: DockerExecutor, image: str) -> ExecutorError:
    with pytest.raises(ExecutorError) as refusal:
        executor.create(spec(executor, image=image))
    return refusal.value


def test_never_pulls_nothing_and_says_so(registry: Registry, image: str) -> None:
    with docker_executor({"pull_policy": "never"}) as executor:
        error = failure(executor, image)
    assert isinstance(error, ImageNotFoundError)
    assert "pull_policy" in str(error)
    assert image in str(error)
    assert registry.requests["manifest"] == 0


def test_an_execution_is_adopted_although_its_image_is_gone(executor: DockerExecutor, image: str) -> None:
    wanted = spec(executor, image=image)
    handle = executor.create(wanted)
    with APIClient(ADDRESS, timeout=20) as client:
        client.remove_image(image, force=True)
    assert executor.create(wanted) == handle
    assert executor.observe([handle])[0].state is ExecutionState.CREATED


def test_threads_that_want_one_image_share_its_pull(executor: DockerExecutor, registry: Registry, image: str) -> None:
    registry.gate.clear()
    handles: list[str] = []
    threads = [
        threading.Thread(target=lambda: handles.append(executor.create(spec(executor, image=image)).name))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 20
    while registry.requests["manifest"] == 0 and time.monotonic() < deadline:
        time.sleep(0.02)
    registry.gate.set()
    for thread in threads:
        thread.join()
    assert len(set(handles)) == 4
    assert registry.requests["blob"] == 2


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (404, "MANIFEST_UNKNOWN", ImageNotFoundError),
        (403, "DENIED", ImageNotFoundError),
        (429, "TOOMANYREQUESTS", ImagePullError),
        (500, "UNKNOWN", ImagePullError),
        (503, "UNAVAILABLE", ImagePullError),
    ],
)
def test_a_registrys_refusal_is_for_good_or_passing(
    executor: DockerExecutor, registry: Registry, image: str, status: int, code: str, kind: type[ExecutorError]
) -> None:
    registry.manifest_status, registry.manifest_error = status, code
    error = failure(executor, image)
    assert type(error) is kind, error
    assert error.transient is (kind is ImagePullError)
    assert error.outcome is Outcome.IMAGE_ERROR
    assert image in str(error)
    assert registry.address in str(error)


def test_a_registry_that_does_not_answer_is_a_passing_error_that_names_it(executor: DockerExecutor) -> None:
    error = failure(executor, "127.0.0.1:1/team/job:v1")
    assert type(error) is ImagePullError
    assert "from 127.0.0.1:1:" in str(error)


def test_a_name_that_is_none_is_a_wrong_specification(executor: DockerExecutor) -> None:
    assert type(failure(executor, "Not/Valid:::")) is SpecificationError


def test_a_scheme_in_a_name_is_a_wrong_specification(registry: Registry) -> None:
    with docker_executor({"pull_policy": "always"}) as executor:
        assert type(failure(executor, f"http://{registry.address}/job")) is SpecificationError


@pytest.mark.parametrize(
    ("limits", "words"), [((0.5, 60.0), "no progress for 0.5 s"), ((5.0, 0.0), "not done after 0 s")]
)
def test_a_pull_that_stands_still_or_takes_too_long_is_given_up(
    registry: Registry, image: str, limits: tuple[float, float], words: str
) -> None:
    if words.startswith("no progress"):
        registry.gate.clear()
    engine = Engine(DockerOptions(base_url=ADDRESS))
    puller = ImagePuller(engine, {}, inactivity_seconds=limits[0], total_seconds=limits[1])
    began = time.monotonic()
    with pytest.raises(ImagePullError, match=words):
        puller.pull(image)
    assert time.monotonic() - began < 5
    registry.gate.set()


class TestCredentials:
    @pytest.fixture(autouse=True)
    def docker_config(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, registry: Registry) -> Path:
        registry.credentials = "Basic " + base64.b64encode(b"robot:secret").decode()
        monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
        return tmp_path

    def test_without_them_the_image_may_not_be_read(self, executor: DockerExecutor, image: str) -> None:
        error = failure(executor, image)
        assert type(error) is ImageNotFoundError
        assert "credentials" in str(error)

    def test_those_of_the_docker_configuration_are_used(
        self, executor: DockerExecutor, registry: Registry, image: str, docker_config: Path
    ) -> None:
        login = {"auths": {registry.address: {"auth": base64.b64encode(b"robot:secret").decode()}}}
        (docker_config / "config.json").write_text(json.dumps(login))
        assert executor.create(spec(executor, image=image)).execution_id

    def test_those_of_a_credential_helper_are_used(
        self,
        executor: DockerExecutor,
        registry: Registry,
        image: str,
        docker_config: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        helper = docker_config / "docker-credential-test"
        helper.write_text('#!/bin/sh\ncat >/dev/null\necho \'{"Username": "robot", "Secret": "secret"}\'\n')
        helper.chmod(0o755)
        monkeypatch.setenv("PATH", str(docker_config), prepend=":")
        (docker_config / "config.json").write_text(json.dumps({"credHelpers": {registry.address: "test"}}))
        assert executor.create(spec(executor, image=image)).execution_id

    @pytest.mark.parametrize("script", ["#!/bin/sh\necho broken >&2; exit 1\n", "#!/bin/sh\nexec sleep 60\n"])
    def test_a_helper_that_fails_or_hangs_is_a_passing_error_that_names_the_registry(
        self,
        executor: DockerExecutor,
        registry: Registry,
        image: str,
        docker_config: Path,
        monkeypatch: pytest.MonkeyPatch,
        script: str,
    ) -> None:
        monkeypatch.setattr("container_manager.executors.docker.credentials.HELPER_SECONDS", 0.5)
        helper = docker_config / "docker-credential-test"
        helper.write_text(script)
        helper.chmod(0o755)
        monkeypatch.setenv("PATH", str(docker_config), prepend=":")
        (docker_config / "config.json").write_text(json.dumps({"credHelpers": {registry.address: "test"}}))
        error = failure(executor, image)
        assert type(error) is ImagePullError
        assert registry.address in str(error)
        assert registry.requests["manifest"] == 0
