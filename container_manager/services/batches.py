"""Writing a batch in few statements: groups that share their values, and one value per row where they do not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db.models import Expression, Model


class RowValues(Expression):
    """
    For an UPDATE of rows by primary key: to each row its own value of one column.

    One flat CASE, compiled directly: nested ``When`` objects cost more than the statement.
    """

    def __init__(self, model: type[Model], column: str, values: Mapping[UUID, Any]) -> None:
        field = next(field for field in model._meta.concrete_fields if field.name == column)
        super().__init__(output_field=field)
        self._key, self._field, self._values = model._meta.pk, field, values

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        parameters: list[Any] = []
        for key, value in self._values.items():
            parameters.append(self._key.get_db_prep_value(key, connection))
            parameters.append(self._field.get_db_prep_save(value, connection))
        quote = connection.ops.quote_name
        branches = " WHEN %s THEN %s" * len(self._values)
        return f"CASE {quote(self._key.column)}{branches} ELSE {quote(self._field.column)} END", tuple(parameters)


def each_row(model: type[Model], column: str, values: Mapping[UUID, Any]) -> Any:
    """What to write to ``column``: the value itself where all rows share it."""
    first = next(iter(values.values()))
    return first if all(value == first for value in values.values()) else RowValues(model, column, values)


def grouped(keys: Sequence[Any], items: Sequence[Any]) -> list[tuple[Any, list[Any]]]:
    """``items`` by their key, in order of first appearance."""
    groups: defaultdict[Any, list[Any]] = defaultdict(list)
    for key, item in zip(keys, items, strict=True):
        groups[key].append(item)
    return list(groups.items())
