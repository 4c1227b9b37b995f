"""How much of a resource a job gets on a host."""

from __future__ import annotations

from container_manager.exceptions import SpecificationError


def effective_limit(
    name: str, wanted: float | None, default: float | None, most: float | None, unit: str
) -> float | None:
    """What the job wants, else the host's default, else its maximum. ``SpecificationError`` above the maximum."""
    value = next((limit for limit in (wanted, default, most) if limit is not None), None)
    if value is not None and most is not None and value > most:
        raise SpecificationError(f"{name} {value:g}{unit} is above this host's max_{name} of {most:g}{unit}.")
    return value
