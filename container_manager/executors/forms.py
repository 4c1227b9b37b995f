"""The forms that options of executors take: each a check that tells the right form of a wrong value."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from django.core.exceptions import ValidationError

Problem = str | None
"""The right form of an option, when its value is not in it."""
Check = Callable[[Any], Problem]


def text(value: Any) -> Problem:
    return None if isinstance(value, str) else "must be a string"


def flag(value: Any) -> Problem:
    return None if isinstance(value, bool) else "must be true or false"


def names(value: Any) -> Problem:
    is_list = isinstance(value, (list, tuple)) and all(isinstance(item, str) and item for item in value)
    return None if is_list else "must be a list of names"


def whole(least: int, unit: str) -> Check:
    def check(value: Any) -> Problem:
        is_whole = isinstance(value, int) and not isinstance(value, bool) and value >= least
        return None if is_whole else f"must be a whole number of {unit}, at least {least}"

    return check


def cores(value: Any) -> Problem:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0
    return None if is_number else "must be a number of cores above 0, for example 1.5"


def one_of(*choices: str) -> Check:
    *most, last = [repr(choice) for choice in choices]

    def check(value: Any) -> Problem:
        return None if value in choices else f"must be {', '.join(most)} or {last}"

    return check


def capabilities(value: Any) -> Problem:
    if names(value):
        return "must be a list of capabilities, for example ['NET_BIND_SERVICE']"
    return "must name each capability instead of 'ALL'" if any(name.upper() == "ALL" for name in value) else None


def validate(engine: str, options: Mapping[str, Any], known: Sequence[str], checks: Mapping[str, Check]) -> None:
    """``ValidationError`` with one message per option of ``options`` that is unknown or in a wrong form."""
    problems = [*_unknown(engine, options, known), *_wrong(options, checks)]
    if problems:
        raise ValidationError(problems)


def _unknown(engine: str, options: Mapping[str, Any], known: Sequence[str]) -> Iterator[str]:
    for name in options:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(known)}."
            yield f"{engine} has no option {name!r}. {hint}"


def _wrong(options: Mapping[str, Any], checks: Mapping[str, Check]) -> Iterator[str]:
    for name, check in checks.items():
        if name in options and (problem := check(options[name])):
            yield f"{name!r} {problem}, not {options[name]!r}."


def above_maximum(options: Mapping[str, Any]) -> list[str]:
    """A problem for each default limit of ``options`` that is above its maximum."""
    return [
        f"{default!r} ({options[default]}) must not be above {most!r} ({options[most]})."
        for default, most in (("default_memory_limit", "max_memory_limit"), ("default_cpu_limit", "max_cpu_limit"))
        if default in options and most in options and options[default] > options[most]
    ]
