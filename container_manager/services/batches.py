"""Writing a batch in few statements: groups that share their values, and one value per row where they do not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db.models import Case, Value, When
from django.db.models.fields import Field


def each_row(values: dict[UUID, Any], output_field: Field[Any, Any] | None = None) -> Any:
    """One value per attempt, in one statement."""
    distinct = set(values.values())
    if len(distinct) == 1:
        return distinct.pop()
    return Case(
        *(When(pk=key, then=Value(value, output_field=output_field)) for key, value in values.items()),
        output_field=output_field,
    )


def grouped(keys: Sequence[Any], items: Sequence[Any]) -> list[tuple[Any, list[Any]]]:
    groups: defaultdict[Any, list[Any]] = defaultdict(list)
    for key, item in zip(keys, items, strict=True):
        groups[key].append(item)
    return list(groups.items())
