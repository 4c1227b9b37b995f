"""To each row its own value of a column, in one statement."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Expression, Model


class RowValues(Expression):
    """
    To each row, by its primary key, its own value.

    Rows that are not among ``values`` keep what they have; ``is_total`` says that there are none, and only then may a
    value be NULL. One flat CASE, compiled directly: nested ``When`` objects cost more than the statement. On
    PostgreSQL one JSON object, looked up by key: a thousand bound parameters cost more still.
    """

    def __init__(self, model: type[Model], column: str, values: Mapping[UUID, Any], *, is_total: bool = False) -> None:
        field = next(field for field in model._meta.concrete_fields if field.name == column)
        super().__init__(output_field=field)
        self._key, self._field, self._values, self._is_total = model._meta.pk, field, values, is_total

    def compiled(self, connection: BaseDatabaseWrapper) -> tuple[str, tuple[Any, ...]]:
        """Its SQL, outside of any query."""
        return (self.as_postgresql if connection.vendor == "postgresql" else self.as_sql)(None, connection)

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        parameters: list[Any] = []
        for key, value in self._values.items():
            parameters.append(self._key.get_db_prep_value(key, connection))
            parameters.append(self._field.get_db_prep_save(value, connection))
        quote = connection.ops.quote_name
        branches = " WHEN %s THEN %s" * len(self._values)
        return f"CASE {quote(self._key.column)}{branches} ELSE {quote(self._field.column)} END", tuple(parameters)

    def as_postgresql(self, compiler: Any, connection: Any, **_: Any) -> tuple[str, tuple[Any, ...]]:
        values = {str(key): _json_value(value) for key, value in self._values.items()}
        quote = connection.ops.quote_name
        lookup = f"(%s::jsonb ->> {quote(self._key.column)}::text)::{self._field.db_type(connection)}"
        written = lookup if self._is_total else f"COALESCE({lookup}, {quote(self._field.column)})"
        return written, (json.dumps(values),)


def _json_value(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value


def each_row(model: type[Model], column: str, values: Mapping[UUID, Any], *, rows: int) -> Any:
    """What to write to ``column`` of ``rows`` rows: the value itself where all of them share it."""
    first = next(iter(values.values()))
    is_total = len(values) == rows
    is_shared = is_total and all(value == first for value in values.values())
    return first if is_shared else RowValues(model, column, values, is_total=is_total)
