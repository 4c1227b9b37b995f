"""Columns of an INSERT: what is known beforehand stands in the SQL, so that little is left to convert and bind."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, NamedTuple

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

_PLAIN: Final = re.compile(r"[\w ]*")
"""Text that needs no escape anywhere."""


class Column(NamedTuple):
    """
    A column of a model and its name, quoted.

    ``cast`` is what a SELECT needs after a value of it. ``implied`` is what a new row usually has: ``literal`` says it
    in SQL, and ``None`` there that nothing need be said of the column.
    """

    field: models.Field[Any, Any]
    name: str
    cast: str
    implied: Any
    literal: str | None

    def bind(self, value: Any, connection: BaseDatabaseWrapper) -> Any:
        """``value`` as the driver takes it."""
        return self.field.get_db_prep_save(value, connection)


class Said(NamedTuple):
    """Part of an INSERT: the names of columns, and the SQL of the value of each."""

    names: list[str]
    values: list[str]


_NOTHING: Final = object()
_known: dict[tuple[type[models.Model], str], dict[str, Column]] = {}


def columns_of(model: type[models.Model], connection: BaseDatabaseWrapper) -> Mapping[str, Column]:
    """All of ``model``'s by the names of their fields, in the order of these."""
    key = model, connection.vendor
    if key not in _known:
        _known[key] = {field.name: _column(field, connection) for field in model._meta.concrete_fields}
    return _known[key]


def own_of(pairs: Iterable[tuple[Column, Any]]) -> list[tuple[Column, Any]]:
    """Those of the columns that have another value than the implied one: all that has to be bound."""
    return [(column, value) for column, value in pairs if value is not column.implied and value != column.implied]


def say(columns: Iterable[Column], own: Collection[str], *, is_selected: bool = True) -> Said:
    """
    How an INSERT says ``columns``, in a SELECT or else in VALUES: those named in ``own`` with something bound.

    The same for all rows of which that can be said: it is worked out once.
    """
    said = Said([], [])
    for column in columns:
        if column.field.name in own:
            sql = "%s"
        elif column.literal is not None:
            sql = column.literal
        else:
            continue
        said.names.append(column.name)
        said.values.append(sql + column.cast if is_selected else sql)
    return said


def _column(field: models.Field[Any, Any], connection: BaseDatabaseWrapper) -> Column:
    # PostgreSQL takes a bare NULL or string of a SELECT for text.
    cast = f"::{field.db_type(connection)}" if connection.vendor == "postgresql" else ""
    implied, literal = _implied(field)
    name = connection.ops.quote_name(str(field.column))
    return Column(field, name, cast, implied, literal)


def _implied(field: models.Field[Any, Any]) -> tuple[Any, str | None]:
    """The constant that a new row has, and its SQL, where it looks the same on every database."""
    if field.null and not field.has_default():
        return None, None
    if isinstance(field, models.JSONField) and field.default in (dict, str):
        value = field.default()
        return value, f"'{json.dumps(value)}'"
    value = field.default
    if isinstance(field, models.IntegerField) and isinstance(value, int):
        return value, str(value)
    if isinstance(field, models.CharField | models.TextField) and isinstance(value, str) and _PLAIN.fullmatch(value):
        return value, f"'{value}'"
    return _NOTHING, None
