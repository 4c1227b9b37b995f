"""The forms that options of executors take: each a check that tells the right form of a wrong value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Problem = str | None
"""The right form of an option, when its value is not in it."""
Check = Callable[[Any], Problem]


def text(value: Any) -> Problem:
    return None if isinstance(value, str) else "must be a string"


def absolute_path(value: Any) -> Problem:
    return None if isinstance(value, str) and value.startswith("/") else "must be an absolute path"


def flag(value: Any) -> Problem:
    return None if isinstance(value, bool) else "must be true or false"


def names(value: Any) -> Problem:
    is_list = isinstance(value, (list, tuple)) and all(isinstance(item, str) and item for item in value)
    return None if is_list else "must be a list of names"


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number, ``least`` or more, of a ``unit``."""

    least: int
    unit: str

    def __call__(self, value: Any) -> Problem:
        is_whole = isinstance(value, int) and not isinstance(value, bool) and value >= self.least
        return None if is_whole else f"must be a whole number of {self.unit}, at least {self.least}"


def cores(value: Any) -> Problem:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0
    return None if is_number else "must be a number of cores above 0, for example 1.5"


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of ``choices``."""

    choices: tuple[str, ...]

    def __call__(self, value: Any) -> Problem:
        *most, last = [repr(choice) for choice in self.choices]
        return None if value in self.choices else f"must be {', '.join(most)} or {last}"


def capabilities(value: Any) -> Problem:
    if names(value):
        return "must be a list of capabilities, for example ['NET_BIND_SERVICE']"
    return "must name each capability instead of 'ALL'" if any(name.upper() == "ALL" for name in value) else None
