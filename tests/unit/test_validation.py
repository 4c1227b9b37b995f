"""What a specification may look like."""

from __future__ import annotations

from typing import Any

import pytest

from container_manager import validation


@pytest.mark.parametrize("command", ["", "echo hello", "sh -c 'a b'", [], ["a", "b c"], ("a",)])
def test_good_commands(command: Any) -> None:
    assert validation.command_problems(command) == []


@pytest.mark.parametrize(
    "command", ['echo "open', "a\0b", ["a\0"], [1], 7, None, {"a": 1}, "  ", "''", ["", "a"], "\ud800"]
)
def test_bad_commands(command: Any) -> None:
    assert len(validation.command_problems(command)) == 1


def test_a_string_is_split_as_a_shell_would_and_none_is_run() -> None:
    assert validation.argument_list("sh -c 'echo $HOME; ls'") == ("sh", "-c", "echo $HOME; ls")
    assert validation.argument_list(["a b", "$HOME"]) == ("a b", "$HOME")


@pytest.mark.parametrize("environment", [{"A=B": "x"}, {"": "x"}, {"A\0": "x"}, {"A": "\0"}, {"A": 1}, ["A"], "A=B"])
def test_bad_environments(environment: Any) -> None:
    assert validation.environment_problems(environment)


def test_labels_of_ours_are_reserved() -> None:
    assert validation.label_problems({"team": "x"}) == []
    assert "reserved" in validation.label_problems({"container-manager.job": "x"})[0]


@pytest.mark.parametrize(
    ("name", "is_good"), [("default", True), ("host:a-1", True), ("", False), ("a b", False), ("x" * 65, False)]
)
def test_queue_names(name: str, is_good: bool) -> None:
    assert bool(validation.queue_problems(name)) != is_good
