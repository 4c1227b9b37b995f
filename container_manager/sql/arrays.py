"""Many values bound as one: PostgreSQL's array literals."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

from container_manager.sql.statements import Statement


def array_of_ids(ids: Iterable[UUID]) -> str:
    """The text of a ``uuid[]``."""
    return f"{{{','.join([key.hex for key in ids])}}}"


def among(ids: Collection[UUID], field: models.Field[Any, Any], connection: BaseDatabaseWrapper) -> Statement:
    """The condition that ``field`` is one of ``ids``; on PostgreSQL the same text however many there are."""
    column = connection.ops.quote_name(str(field.column))
    if connection.vendor == "postgresql":
        return f"{column} = ANY(%s::uuid[])", [array_of_ids(ids)]
    return f"{column} IN ({', '.join(['%s'] * len(ids))})", [field.get_db_prep_value(key, connection) for key in ids]


def array_of(field: models.Field[Any, Any], values: Sequence[Any], connection: BaseDatabaseWrapper) -> Any:
    """What is bound for an array of ``field``'s; ids and moments as text, which the driver would adapt one by one."""
    kinds = set(map(type, values))
    if kinds == {UUID}:
        return array_of_ids(values)
    if kinds == {datetime} and all(value.tzinfo is not None for value in values):
        return f"{{{','.join([value.isoformat() for value in values])}}}"
    return [field.get_db_prep_save(value, connection) for value in values]
