"""A condition on many ids whose statement is the same however many there are."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from uuid import UUID

from django.db.models import BooleanField, F, Func


class AnyOf(Func):
    """
    The rows whose ``column`` is one of ``ids``, of which there is at least one.

    On PostgreSQL they are one bound array: a hundred parameters cost the driver more than the
    statement costs the database.
    """

    output_field = BooleanField()

    def __init__(self, column: str, ids: Collection[UUID]) -> None:
        super().__init__(F(column))
        self._ids = list(ids)

    def as_sql(self, compiler: Any, connection: Any, *_: Any, **__: Any) -> Any:
        (column,) = self.get_source_expressions()
        sql, bound = compiler.compile(column)
        values = [column.output_field.get_db_prep_value(key, connection) for key in self._ids]
        return f"{sql} IN ({', '.join(['%s'] * len(values))})", [*bound, *values]

    def as_postgresql(self, compiler: Any, connection: Any, **_: Any) -> Any:
        sql, bound = compiler.compile(self.get_source_expressions()[0])
        return f"{sql} = ANY(%s::uuid[])", [*bound, self._ids]
