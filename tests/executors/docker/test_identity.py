"""An execution is found by its name, by any process, and nothing else is ever touched."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from docker import APIClient
from docker.errors import NotFound

from container_manager.exceptions import ExecutionNotFoundError, ExecutionRunningError, NameConflictError
from container_manager.executors.docker import DockerExecutor
from container_manager.specs import ExecutionState, Handle
from tests.executors.docker.running import (
    ADDRESS,
    IMAGE,
    docker_executor,
    inspect,
    output,
    run,
    shell,
    spec,
    wait_for_end,
)

pytestmark = pytest.mark.docker


@pytest.fixture
def foreign(executor: DockerExecutor) -> Iterator[Handle]:
    """A container that somebody else made under the name of an attempt of ours."""
    name = spec(executor).name
    with APIClient(ADDRESS, timeout=20) as client:
        client.create_container(IMAGE, ["true"], name=name)
        yield Handle(name)
        client.remove_container(name, force=True)


def test_creating_twice_adopts_the_first(executor: DockerExecutor) -> None:
    wanted = shell(executor, "echo once")
    first = executor.create(wanted)
    assert executor.create(wanted) == first
    ended = run(executor, wanted)
    assert executor.create(wanted) == first == ended.handle
    assert executor.observe([first]) == [ended]


def test_another_specification_under_the_same_name_is_a_conflict(executor: DockerExecutor) -> None:
    wanted = shell(executor, "echo one")
    handle = executor.create(wanted)
    with pytest.raises(NameConflictError, match=r"container-manager\.spec"):
        executor.create(replace(wanted, command=("echo", "two")))
    assert executor.observe([handle])[0].state is ExecutionState.CREATED


def test_a_container_of_somebody_else_is_a_conflict_and_left_alone(executor: DockerExecutor) -> None:
    wanted = spec(executor)
    with APIClient(ADDRESS, timeout=20) as client:
        client.create_container(IMAGE, ["true"], name=wanted.name)
        try:
            with pytest.raises(NameConflictError, match="not this attempt's"):
                executor.create(wanted)
        finally:
            client.remove_container(wanted.name)


def test_what_only_has_our_name_is_never_started_stopped_seen_or_removed(
    executor: DockerExecutor, foreign: Handle
) -> None:
    with pytest.raises(ExecutionNotFoundError):
        executor.start(foreign)
    executor.stop(foreign, 0)
    executor.remove(foreign)
    assert executor.observe([foreign]) == []
    assert executor.observe() == []
    assert inspect(foreign)["State"]["Status"] == "created"


def test_an_image_with_labels_like_ours_makes_no_execution(executor: DockerExecutor) -> None:
    labels = spec(executor).labels
    with APIClient(ADDRESS, timeout=20) as client:
        made = client.create_container(IMAGE, ["true"], labels=labels)
        try:
            assert executor.observe() == []
        finally:
            client.remove_container(made["Id"])


def test_an_ended_execution_is_never_run_again(executor: DockerExecutor) -> None:
    handle = run(executor, shell(executor, "echo once")).handle
    executor.start(handle)
    executor.start(Handle(handle.name))
    assert output(executor, handle)["stdout"] == b"once\n"


def test_starts_at_the_same_moment_run_the_work_once(executor: DockerExecutor) -> None:
    handle = executor.create(shell(executor, "echo once"))
    threads = [threading.Thread(target=executor.start, args=[handle]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_for_end(executor, handle)
    assert output(executor, handle)["stdout"] == b"once\n"


def test_a_start_after_the_removal_is_not_found(executor: DockerExecutor) -> None:
    handle = executor.create(spec(executor))
    executor.remove(handle)
    with pytest.raises(ExecutionNotFoundError):
        executor.start(handle)


def test_a_running_or_paused_execution_is_not_removed(executor: DockerExecutor) -> None:
    handle = executor.create(spec(executor, command=("sleep", "60")))
    executor.start(handle)
    for pause in (False, True):
        if pause:
            with APIClient(ADDRESS, timeout=20) as client:
                client.pause(handle.name)
        with pytest.raises(ExecutionRunningError):
            executor.remove(handle)
        executor.start(handle)
        assert executor.observe([handle])[0].state is ExecutionState.RUNNING
    executor.stop(handle, 0)
    assert executor.observe([handle])[0].state is ExecutionState.EXITED


def test_a_removal_takes_the_containers_volumes_along(executor: DockerExecutor) -> None:
    with APIClient(ADDRESS, timeout=20) as client:
        made = client.create_container(IMAGE, ["true"], volumes=["/data"])
        image = client.commit(made["Id"], repository="container-manager-test", tag="volume")
        client.remove_container(made["Id"], v=True)
        try:
            handle = executor.create(spec(executor, image="container-manager-test:volume"))
            (mount,) = inspect(handle)["Mounts"]
            executor.remove(handle)
            with pytest.raises(NotFound):
                client.inspect_volume(mount["Name"])
        finally:
            client.remove_image(image["Id"])


def test_a_list_tells_the_same_as_a_look(executor: DockerExecutor) -> None:
    created = executor.create(spec(executor))
    running = executor.create(spec(executor, command=("sleep", "60")))
    executor.start(running)
    failed = run(executor, shell(executor, "exit 3")).handle
    for _ in range(2):
        listed = {seen.handle: seen for seen in executor.observe()}
        assert {handle: (listed[handle].state, listed[handle].exit_code) for handle in listed} == {
            created: (ExecutionState.CREATED, None),
            running: (ExecutionState.RUNNING, None),
            failed: (ExecutionState.EXITED, 3),
        }
        for handle, seen in listed.items():
            (looked_at,) = executor.observe([handle])
            assert seen.created_at is not None
            assert looked_at.created_at is not None
            assert abs(seen.created_at - looked_at.created_at) < timedelta(seconds=1)
            assert replace(looked_at, created_at=seen.created_at) == seen
        assert {seen.handle for seen in executor.observe([created, failed])} == {created, failed}
    executor.stop(running, 0)
    assert {seen.handle: seen.state for seen in executor.observe()}[running] is ExecutionState.EXITED
    assert isinstance(listed[running].started_at, datetime)


def test_installations_do_not_see_each_other(executor: DockerExecutor) -> None:
    handle = executor.create(spec(executor))
    with docker_executor() as other:
        assert other.observe() == []
        assert other.observe([handle]) == []


def test_an_execution_outlives_the_process_that_started_it_and_is_adopted_by_name(executor: DockerExecutor) -> None:
    job_id = uuid4()
    program = f"""
        import os
        from uuid import UUID
        from container_manager.executors.docker import DockerExecutor
        from container_manager.specs import JobSpec
        executor = DockerExecutor({{"base_url": {ADDRESS!r}}}, installation={executor.installation!r})
        executor.start(executor.create(JobSpec(
            installation={executor.installation!r}, job_id=UUID({str(job_id)!r}), attempt=1, image={IMAGE!r},
            command=("sh", "-c", "sleep 1; echo still here; exit 7"), network="none")))
        os.kill(os.getpid(), 9)
    """
    dead = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], env={**os.environ, "PYTHONPATH": "."}, check=False
    )
    assert dead.returncode == -9
    wanted = shell(executor, "sleep 1; echo still here; exit 7", job_id=job_id)
    adopted = executor.create(wanted)
    assert executor.observe([adopted])[0].state is ExecutionState.RUNNING
    executor.start(adopted)
    assert wait_for_end(executor, Handle(wanted.name)).exit_code == 7
    assert output(executor, Handle(wanted.name))["stdout"] == b"still here\n"
