"""The options of a Docker host: each is checked, and the message says which and how it should be."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError

from container_manager.executors.docker import DockerExecutor
from container_manager.models import ExecutorHost


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"base_url": "tcp://engine.example:2376", "tls": {"ca_cert": "/ca.pem", "verify": True}, "timeout": 5},
        {"pull_policy": "always", "network": "jobs", "allowed_networks": ["bridge", "jobs"], "user": "1000:1000"},
        {"ulimits": {"nofile": 100, "core": [0, 0]}, "tmpfs": {"/scratch": ""}, "cap_add": ["CHOWN"]},
        {"default_memory_limit": 512, "max_memory_limit": 512, "default_cpu_limit": 0.5, "max_cpu_limit": 4},
        {"log_max_size": "1g", "log_max_files": 2, "pids_limit": 1, "runtime": "runsc", "read_only": True},
    ],
)
def test_good_options_are_accepted(options: dict[str, Any]) -> None:
    DockerExecutor.validate_options(options)
    DockerExecutor(options, installation="options")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"base_ulr": "x"}, ["base_ulr", "Did you mean 'base_url'?"]),
        ({"qqq": 1}, ["qqq", "Known: base_url"]),
        ({"base_url": "ssh://root@engine"}, ["base_url", "unix:///var/run/docker.sock"]),
        ({"base_url": 5}, ["base_url"]),
        ({"timeout": 0}, ["timeout", "seconds"]),
        ({"timeout": True}, ["timeout"]),
        ({"pull_policy": "sometimes"}, ["pull_policy", "missing"]),
        ({"network": "host"}, ["network", "host"]),
        ({"allowed_networks": ["container:x"]}, ["allowed_networks"]),
        ({"allowed_networks": "bridge"}, ["allowed_networks", "list"]),
        ({"cap_add": ["ALL"]}, ["cap_add", "each"]),
        ({"tmpfs": ["/tmp"]}, ["tmpfs", "map"]),  # noqa: S108
        ({"ulimits": {"nofile": "many"}}, ["ulimits", "soft"]),
        ({"pids_limit": -1}, ["pids_limit"]),
        ({"read_only": "yes"}, ["read_only", "true or false"]),
        ({"max_memory_limit": 1.5}, ["max_memory_limit", "MiB"]),
        ({"max_cpu_limit": 0}, ["max_cpu_limit", "cores"]),
        ({"default_memory_limit": 64, "max_memory_limit": 32}, ["default_memory_limit", "max_memory_limit"]),
        ({"log_max_files": 1}, ["log_max_files", "at least 2"]),
        ({"log_max_size": "10 MB"}, ["log_max_size", "10m"]),
        ({"tls": {"ca_cert": "/ca.pem"}}, ["tls", "base_url"]),
        ({"base_url": "tcp://e:2376", "tls": {"key": "x"}}, ["tls", "client_key"]),
        ({"base_url": "tcp://e:2376", "tls": {"client_cert": "x"}}, ["tls", "both"]),
    ],
)
def test_a_wrong_option_is_named_with_its_right_form(options: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ValidationError) as refusal:
        DockerExecutor.validate_options(options)
    assert all(word in refusal.value.messages[0] for word in words), refusal.value.messages


def test_all_wrong_options_are_told_at_once() -> None:
    with pytest.raises(ValidationError) as refusal:
        DockerExecutor.validate_options({"user": 1, "runtime": 2, "colour": "red"})
    assert len(refusal.value.messages) == 3


def test_a_host_whose_engine_is_behind_a_socket_asks_for_its_node() -> None:
    host = ExecutorHost(name="here", executor_type="docker", options={"base_url": "unix:///var/run/docker.sock"})
    with pytest.raises(ValidationError) as refusal:
        host.clean()
    assert list(refusal.value.message_dict) == ["node"]
    host.node = "here"
    host.clean()


@pytest.mark.parametrize("base_url", ["tcp://engine.example:2376", "https://engine.example:2376"])
def test_a_remote_engine_is_reached_from_every_node(base_url: str) -> None:
    ExecutorHost(name="there", executor_type="docker", options={"base_url": base_url}).clean()
