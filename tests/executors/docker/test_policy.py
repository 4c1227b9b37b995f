"""What a container may do on a host is decided by the host, and read back from the engine."""

from __future__ import annotations

from typing import Any

import pytest

from container_manager.exceptions import SpecificationError
from container_manager.executors.docker import DockerExecutor
from container_manager.specs import LABEL_ATTEMPT, LABEL_INSTALLATION, LABEL_JOB, LABEL_SPEC
from container_manager.states import Outcome
from tests.executors.docker.running import docker_executor, inspect, output, run, shell, spec

pytestmark = pytest.mark.docker
MEBIBYTE = 1 << 20


def created_with(options: dict[str, Any], **values: Any) -> dict[str, Any]:
    """What the engine made of a job on a host with ``options``."""
    with docker_executor(options) as executor:
        return inspect(executor.create(spec(executor, **values)))


def test_a_container_has_no_privileges_unless_its_host_gives_them(executor: DockerExecutor) -> None:
    host = inspect(executor.create(spec(executor, network="")))["HostConfig"]
    assert host["CapDrop"] == ["ALL"]
    assert not host["CapAdd"]
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert host["Privileged"] is False
    assert host["PidsLimit"] == 512
    assert host["Init"] is True
    assert host["NetworkMode"] == "bridge"
    assert (host["PidMode"], host["IpcMode"], host["UTSMode"], host["UsernsMode"]) == ("", "private", "", "")
    assert not host["Binds"]
    assert not host["Devices"]
    assert host["AutoRemove"] is False
    assert host["RestartPolicy"]["Name"] == "no"


def test_the_processes_of_a_container_see_those_limits(executor: DockerExecutor) -> None:
    handle = run(executor, shell(executor, "grep -E '^(CapEff|CapBnd|NoNewPrivs)' /proc/self/status")).handle
    seen = dict(line.split(":\t") for line in output(executor, handle)["stdout"].decode().splitlines())
    assert seen == {"CapEff": "0" * 16, "CapBnd": "0" * 16, "NoNewPrivs": "1"}


def test_the_engine_keeps_a_bounded_and_rotated_log(executor: DockerExecutor) -> None:
    log = inspect(executor.create(spec(executor)))["HostConfig"]["LogConfig"]
    assert log == {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}}


def test_a_hosts_options_reach_its_containers() -> None:
    options = {
        "cap_add": ["NET_BIND_SERVICE"],
        "pids_limit": 20,
        "read_only": True,
        "tmpfs": {"/tmp": "size=1m"},  # noqa: S108
        "ulimits": {"nofile": [100, 200], "core": 0},
        "user": "65534",
        "runtime": "runc",
        "log_max_size": "1m",
        "log_max_files": 5,
        "default_memory_limit": 32,
        "default_cpu_limit": 0.5,
    }
    found = created_with(options)
    host = found["HostConfig"]
    assert host["CapAdd"] in (["NET_BIND_SERVICE"], ["CAP_NET_BIND_SERVICE"])
    assert host["PidsLimit"] == 20
    assert host["ReadonlyRootfs"] is True
    assert host["Tmpfs"] == {"/tmp": "size=1m"}  # noqa: S108
    assert {(one["Name"], one["Soft"], one["Hard"]) for one in host["Ulimits"]} == {
        ("nofile", 100, 200),
        ("core", 0, 0),
    }
    assert found["Config"]["User"] == "65534"
    assert host["Runtime"] == "runc"
    assert host["LogConfig"]["Config"] == {"max-size": "1m", "max-file": "5"}
    assert host["Memory"] == host["MemorySwap"] == 32 * MEBIBYTE
    assert host["NanoCpus"] == 500_000_000


def test_a_jobs_own_limits_and_user_come_before_the_hosts() -> None:
    found = created_with({"default_memory_limit": 32, "user": "root"}, memory_limit=64, cpu_limit=1.5, user="nobody")
    assert found["HostConfig"]["Memory"] == found["HostConfig"]["MemorySwap"] == 64 * MEBIBYTE
    assert found["HostConfig"]["NanoCpus"] == 1_500_000_000
    assert found["Config"]["User"] == "nobody"


def test_a_host_with_a_bound_leaves_no_job_without_a_limit() -> None:
    found = created_with({"max_memory_limit": 48, "max_cpu_limit": 1})
    assert found["HostConfig"]["Memory"] == 48 * MEBIBYTE
    assert found["HostConfig"]["NanoCpus"] == 1_000_000_000


@pytest.mark.parametrize(
    ("options", "values", "named"),
    [
        ({"max_memory_limit": 64}, {"memory_limit": 65}, "max_memory_limit of 64 MiB"),
        ({"max_cpu_limit": 1.5}, {"cpu_limit": 2.0}, "max_cpu_limit of 1.5 cores"),
        ({}, {"network": "host"}, "allowed_networks"),
        ({}, {"network": "container:other"}, "allowed_networks"),
        ({}, {"network": "backend"}, "allowed_networks"),
        ({"network": "none", "allowed_networks": []}, {"network": "bridge"}, "allowed_networks"),
        ({}, {"gpus": "some"}, "device=0,1"),
        ({}, {"image": ""}, "DEFAULT_IMAGE"),
        ({}, {"cpu_limit": 4096.0}, "CPUs"),
        ({}, {"memory_limit": 1}, "memory limit"),
        ({}, {"working_directory": "relative"}, "absolute path"),
    ],
)
def test_what_a_host_does_not_allow_is_refused_and_nothing_is_created(
    options: dict[str, Any], values: dict[str, Any], named: str
) -> None:
    with docker_executor(options) as executor:
        with pytest.raises(SpecificationError, match=named) as refusal:
            executor.create(spec(executor, **values))
        assert executor.observe() == []
    assert refusal.value.transient is False
    assert refusal.value.outcome is Outcome.CONFIG_ERROR


def test_a_named_network_is_used_when_the_host_lists_it() -> None:
    assert created_with({"allowed_networks": ["backend"]}, network="backend")["HostConfig"]["NetworkMode"] == "backend"


def test_a_network_the_engine_does_not_have_is_a_wrong_specification_and_the_execution_stays() -> None:
    with docker_executor({"allowed_networks": ["no-such-network"]}) as executor:
        handle = executor.create(spec(executor, network="no-such-network"))
        with pytest.raises(SpecificationError, match="no-such-network"):
            executor.start(handle)
        (seen,) = executor.observe([handle])
        assert (seen.state, seen.started_at) == ("created", None)
        assert "no-such-network" in seen.error


@pytest.mark.parametrize("values", [{"user": "no-such-user"}, {"gpus": "1"}])
def test_what_the_engine_cannot_give_is_a_wrong_specification(executor: DockerExecutor, values: dict[str, Any]) -> None:
    handle = executor.create(spec(executor, **values))
    with pytest.raises(SpecificationError):
        executor.start(handle)


def test_a_users_labels_never_override_ours(executor: DockerExecutor) -> None:
    ours = (LABEL_INSTALLATION, LABEL_JOB, LABEL_ATTEMPT, LABEL_SPEC)
    wanted = spec(executor, user_labels={"team": "blue", **dict.fromkeys(ours, "forged")})
    labels = inspect(executor.create(wanted))["Config"]["Labels"]
    assert labels["team"] == "blue"
    assert {label: labels[label] for label in ours} == {
        LABEL_INSTALLATION: executor.installation,
        LABEL_JOB: str(wanted.job_id),
        LABEL_ATTEMPT: "1",
        LABEL_SPEC: wanted.digest,
    }


def test_memory_over_the_limit_ends_the_job_as_oom(executor: DockerExecutor) -> None:
    seen = run(executor, spec(executor, command=("tail", "/dev/zero"), memory_limit=20))
    assert (seen.reason, seen.exit_code) == (Outcome.OOM, 137)


def test_being_killed_is_not_taken_for_oom(executor: DockerExecutor) -> None:
    seen = run(executor, shell(executor, "exit 137", memory_limit=20))
    assert (seen.reason, seen.exit_code) == (None, 137)


def test_a_job_that_succeeds_although_a_child_ran_out_of_memory_has_succeeded(executor: DockerExecutor) -> None:
    seen = run(executor, shell(executor, "tail /dev/zero; exit 0", memory_limit=20))
    assert (seen.reason, seen.exit_code) == (None, 0)


@pytest.mark.parametrize(("program", "exit_code"), [("no-such-program", 127), ("/tmp", 126)])  # noqa: S108
def test_a_program_that_cannot_be_run_is_told_from_a_job_that_exits_with_that_code(
    executor: DockerExecutor, program: str, exit_code: int
) -> None:
    seen = run(executor, spec(executor, command=(program,)))
    assert (seen.exit_code, seen.reason) == (exit_code, Outcome.CONFIG_ERROR)
    assert program in seen.error
    own = run(executor, shell(executor, f"exit {exit_code}"))
    assert (own.exit_code, own.reason) == (exit_code, None)
