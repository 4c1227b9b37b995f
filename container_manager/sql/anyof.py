"""A condition on many ids whose statement is the same however many there are."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from uuid import UUID

from django.db.models import F
from django.db.models.lookups import In, Lookup

from container_manager.sql.arrays import array_of_ids


class AnyOf(In):
    """
    The rows whose ``column`` is one of ``ids``.

    On PostgreSQL they are one bound array: a hundred parameters cost the driver more than the
    statement costs the database. A lookup and no other expression: those are compared with 1 on
    MariaDB, which then uses no index.
    """

    def __init__(self, column: str | F, ids: Collection[UUID]) -> None:
        super().__init__(F(column) if isinstance(column, str) else column, list(ids))

    def get_prep_lookup(self) -> Any:
        return self.rhs  # they are ids already: a look at each costs more than the statement

    @property
    def identity(self) -> tuple[type[Lookup[Any]], Any, Any]:
        return self.__class__, None, id(self)  # Django compares and hashes conditions: not a hundred ids each time

    def as_postgresql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        sql, bound = self.process_lhs(compiler, connection)
        return f"{sql} = ANY(%s::uuid[])", [*bound, array_of_ids(self.rhs)]
