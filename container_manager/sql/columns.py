"""Columns of an INSERT: what is known beforehand stands in the SQL, so that little is left to convert and bind."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

_PLAIN: Final = re.compile(r"[\w ]*")
"""Text that needs no escape anywhere."""


class Column(NamedTuple):
    """
    A column of a model and its name, quoted.

    ``cast`` is what a SELECT needs after a value of it; ``literal`` is ``default`` as SQL, ``None`` = bind that too.
    """

    field: models.Field[Any, Any]
    name: str
    cast: str
    default: Any
    literal: str | None

    def is_left_out(self, value: Any) -> bool:
        """Whether a row has ``value`` when nothing is said of this column."""
        return value is None and self.field.null

    def is_literal(self, value: Any) -> bool:
        """Whether ``literal`` says ``value``."""
        return self.literal is not None and bool(value == self.default)


class Said(NamedTuple):
    """Part of an INSERT: the names of columns, the SQL of the value of each, and what is bound in it, in order."""

    names: list[str]
    values: list[str]
    bound: list[Any]


_known: dict[tuple[type[models.Model], str], dict[str, Column]] = {}


def columns_of(model: type[models.Model], connection: BaseDatabaseWrapper) -> Mapping[str, Column]:
    """All of ``model``'s by the names of their fields, in the order of these."""
    key = model, connection.vendor
    if key not in _known:
        _known[key] = {field.name: _column(field, connection) for field in model._meta.concrete_fields}
    return _known[key]


def say(pairs: Iterable[tuple[Column, Any]], connection: BaseDatabaseWrapper, *, is_selected: bool = True) -> Said:
    """What is to be said of columns that have these values, in a SELECT or else in VALUES."""
    said = Said([], [], [])
    for column, value in pairs:
        if column.is_left_out(value):
            continue
        sql = "%s"
        if column.is_literal(value):
            sql = str(column.literal)
        else:
            said.bound.append(column.field.get_db_prep_save(value, connection))
        said.names.append(column.name)
        said.values.append(sql + column.cast if is_selected else sql)
    return said


def _column(field: models.Field[Any, Any], connection: BaseDatabaseWrapper) -> Column:
    # PostgreSQL takes a bare NULL or string of a SELECT for text.
    cast = f"::{field.db_type(connection)}" if connection.vendor == "postgresql" else ""
    default, literal = _default_of(field)
    name = connection.ops.quote_name(str(field.column))
    return Column(field, name, cast, default, literal)


def _default_of(field: models.Field[Any, Any]) -> tuple[Any, str | None]:
    """The constant that a new row has, and its SQL, where it looks the same on every database."""
    if isinstance(field, models.JSONField) and field.default in (dict, str):
        value = field.default()
        return value, f"'{json.dumps(value)}'"
    value = field.default
    if isinstance(field, models.IntegerField) and isinstance(value, int):
        return value, str(value)
    if isinstance(field, models.CharField | models.TextField) and isinstance(value, str) and _PLAIN.fullmatch(value):
        return value, f"'{value}'"
    return value, None
