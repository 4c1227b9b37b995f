"""What is wrong with a job: every field that can be wrong is named, whatever was put into it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import override_settings

from container_manager.exceptions import JobValidationError
from container_manager.models import ContainerJob

WRONG: dict[str, list[Any]] = {
    "command": [
        "", [], None, 7, {"a": 1}, ["a", 1], 'echo "open', "a\0b", ["a", "\0"], "   ", "'' x", ["", "x"], "\ud800",
    ],
    "entrypoint": ['sh "', [None]],
    "environment": [
        None, "A=1", {"A=B": "x"}, {"": "x"}, {"A": "\0"}, {"A\0": ""}, {"A": 1}, {"A": "\udfff"}, {"A": None},
    ],
    "labels": [None, {"a": 1}, {"": "x"}, {"a": "\0"}, {"container-manager.job": "x"}],
    "queue": ["", None, "a b", "x" * 65, "ü"],
    "name": [None, 5, "x" * 201, "\0"],
    "image": [None, "x" * 501, "\0"],
    "working_directory": [3, "/\0"],
    "user": ["x" * 101],
    "network": [["a"]],
    "gpus": [1],
    "memory_limit": [0, -1, 2.5, "64", True, 2**31],
    "cpu_limit": [0, -0.5, float("nan"), float("inf"), True, "1"],
    "timeout_seconds": [0, 2**31],
    "queue_timeout_seconds": [-1, 10**12],
    "priority": [-1, 101, 50.0, None, True, "high"],
    "max_retries": [-1, None, 2**31],
    "retry_policy": ["nonsense", None, []],
    "on_lost": ["nonsense", None],
    "shell": ["yes"],
    "scheduled_for": [datetime(2030, 1, 1), "tomorrow", 5],  # noqa: DTZ001 - the point
}  # fmt: skip
CASES = [(field, value) for field, values in WRONG.items() for value in values]


@pytest.mark.parametrize(("field", "value"), CASES, ids=[f"{field}-{value!r:.20}" for field, value in CASES])
def test_what_is_wrong_is_named_and_nothing_else(field: str, value: Any) -> None:
    job = ContainerJob(**{"command": "true", field: value})
    problems = job.specification_problems()
    assert list(problems) == [field]
    assert all(problem.endswith((".", ")")) for problem in problems[field]), "a sentence that says what to do"
    with pytest.raises(JobValidationError) as caught:
        job.validate_specification()
    assert caught.value.message_dict == problems
    with pytest.raises(ValidationError) as from_form:
        job.clean()
    assert from_form.value.message_dict == problems


@pytest.mark.parametrize(
    "fields",
    [
        {"command": "echo hello"},
        {"command": ["echo", "", "a b"]},
        {"command": "", "image": "alpine"},
        {"command": "", "entrypoint": ["/run"]},
        {"command": "a 'b' \N{SNOWMAN}", "name": "x" * 200, "image": "i" * 500},
        {"command": "a | b", "shell": True},
        {"command": "true", "environment": {"A": "", "B": "quotes \" ' and\nlines \N{SNOWMAN}"}},
        {"command": "true", "memory_limit": 2**31 - 1, "cpu_limit": 0.01, "timeout_seconds": 1, "max_retries": 0},
        {"command": "true", "priority": 0},
        {"command": "true", "priority": 100, "retry_policy": "on_failure", "on_lost": "retry", "queue": "host:a-1"},
        {"command": "true", "scheduled_for": datetime(2000, 1, 1, tzinfo=UTC)},
    ],
)
def test_what_is_right_is_not_complained_about(fields: dict[str, Any]) -> None:
    assert ContainerJob(**fields).specification_problems() == {}


def test_a_shell_takes_one_string() -> None:
    job = ContainerJob(command=["a", "b"])
    job.shell = True
    assert list(job.specification_problems()) == ["command"]


def test_everything_wrong_is_told_at_once() -> None:
    job = ContainerJob(command="", environment={"A": 1}, priority=-1, queue="")
    assert set(job.specification_problems()) == {"command", "environment", "priority", "queue"}


@override_settings(CONTAINER_MANAGER={"RETRY_POLICIES": {"mine": {"max_reruns": 1}}})
def test_retry_policies_of_the_settings_are_known_and_named() -> None:
    assert ContainerJob(command="true", retry_policy="mine").specification_problems() == {}
    [problem] = ContainerJob(command="true", retry_policy="mien").specification_problems()["retry_policy"]
    assert "mine" in problem
    assert "on_failure" in problem


def test_no_retries_at_all_are_accepted_and_the_help_says_what_that_means() -> None:
    assert ContainerJob(command="true", max_retries=0).specification_problems() == {}
    assert "With 0 the job never becomes ready" in str(ContainerJob._meta.get_field("max_retries").help_text)
