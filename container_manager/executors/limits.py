"""How much of a resource a job gets on a host: what it asks for, within what the host's options allow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from container_manager.exceptions import SpecificationError

UNITS: Final = {"memory_limit": "MiB", "cpu_limit": "cores", "timeout_seconds": "s"}
"""What a job may ask for; ``default_`` and ``max_`` before each name are options of hosts."""


def effective_limit(name: str, wanted: float | None, default: float | None, most: float | None) -> float | None:
    """What the job wants, else the host's default, else its maximum. ``SpecificationError`` above the maximum."""
    if problem := _refusal(name, wanted, most):
        raise SpecificationError(f"{problem}.")
    return next((limit for limit in (wanted, default, most) if limit is not None), None)


def time_limit(wanted: int | None, options: Mapping[str, Any]) -> int | None:
    """Seconds that a job may run on a host with ``options``; never above their maximum."""
    most: int | None = options.get("max_timeout_seconds")
    limit: int | None = wanted or options.get("default_timeout_seconds") or most
    return limit if limit is None or most is None else min(limit, most)


def refusals(wanted: Mapping[str, float | None], options: Mapping[str, Any]) -> dict[str, str]:
    """For each limit, by its name, that is above the maximum of ``options``: what is wrong."""
    problems = {name: _refusal(name, value, options.get(f"max_{name}")) for name, value in wanted.items()}
    return {name: problem for name, problem in problems.items() if problem}


def described(options: Mapping[str, Any]) -> str:
    """What jobs get that ask for nothing, and what they may ask for; empty = no limits."""
    said = []
    for name, unit in UNITS.items():
        default, most = options.get(f"default_{name}"), options.get(f"max_{name}")
        if most is not None:
            said.append(f"{name} {_number(most if default is None else default)} {unit}, at most {_number(most)}")
        elif default is not None:
            said.append(f"{name} {_number(default)} {unit}")
    return "; ".join(said)


def _refusal(name: str, value: float | None, most: float | None) -> str:
    if value is None or most is None or value <= most:
        return ""
    unit = UNITS[name]
    return f"{name} {_number(value)} {unit} is above this host's max_{name} of {_number(most)} {unit}"


def _number(value: float) -> str:
    return f"{value:.12g}"
