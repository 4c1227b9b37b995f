"""Every executor declares its options: what a page or a form shows of them is what the executor takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
from django.core.exceptions import ValidationError

from container_manager.conf import BUILTIN_EXECUTORS
from container_manager.executors import executor_class, forms
from container_manager.executors.options import FileOptions, ResourceOptions, option


@dataclass(frozen=True, kw_only=True)
class OvenOptions(FileOptions, ResourceOptions):
    executor: ClassVar[str] = "The oven"

    heat: int = option(180, forms.Whole(1, "degrees"), "how hot")
    trays: Mapping[str, str] = option({}, forms.text, "what is in it")

    def contradictions(self) -> Iterator[str]:
        yield from super().contradictions()
        if self.heat > 250 and self.max_memory_limit:
            yield "'heat' would melt the memory."


@pytest.mark.parametrize("name", BUILTIN_EXECUTORS)
def test_the_declared_options_of_an_executor_are_those_it_takes(name: str) -> None:
    declared = executor_class(name).options_class
    assert declared is not None
    for known in declared.declarations():
        assert known.help
        assert getattr(declared.parse({}), known.name) == known.default
        with pytest.raises(ValidationError, match=known.name):
            executor_class(name).validate_options({known.name: object()})


def test_own_options_come_before_inherited_ones() -> None:
    names = [known.name for known in OvenOptions.declarations()]
    assert names[:2] == ["heat", "trays"]
    assert set(names[2:]) == {
        "default_timeout_seconds", "max_timeout_seconds",
        "default_memory_limit", "max_memory_limit", "default_cpu_limit", "max_cpu_limit",
        "max_input_size", "max_output_size",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("options", "problems"),
    [
        ({"heta": 1}, ["The oven has no option 'heta'. Did you mean 'heat'?"]),
        ({"heat": True}, ["'heat' must be a whole number of degrees, at least 1, not True."]),
        ({"heat": 0, "xyzzy": 1}, ["xyzzy", "degrees"]),
        ({"heat": 300, "max_memory_limit": 6}, ["melt"]),
        ({"default_timeout_seconds": 2, "max_timeout_seconds": 1}, ["'default_timeout_seconds' (2) must not be above"]),
        ({"default_cpu_limit": 2, "max_cpu_limit": 1}, ["'default_cpu_limit' (2) must not be above"]),
    ],
)
def test_every_problem_is_named(options: dict[str, Any], problems: list[str]) -> None:
    with pytest.raises(ValidationError) as caught:
        OvenOptions.parse(options)
    assert len(caught.value.messages) == len(problems)
    for message, words in zip(caught.value.messages, problems, strict=True):
        assert words in message


def test_lists_become_tuples_and_defaults_are_not_shared() -> None:
    assert OvenOptions.parse({}).trays is not OvenOptions.parse({}).trays
    assert OvenOptions.parse({"max_input_size": 2}).size_limits() == (2 << 20, None)
