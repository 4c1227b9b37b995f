"""Columns of an INSERT: what is known beforehand stands in the SQL, so that little is left to convert and bind."""

from __future__ import annotations

import json
import re
from typing import Any, Final, NamedTuple

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

Statement = tuple[str, list[Any]]
"""SQL and what is bound in it."""
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

    @property
    def slot(self) -> str:
        """Where a value is bound in a SELECT."""
        return f"%s{self.cast}"

    def said(self, value: Any, connection: BaseDatabaseWrapper, *, is_selected: bool = True) -> Statement:
        """The SQL of ``value`` in a SELECT, or else in VALUES, and what is bound in it."""
        cast = self.cast if is_selected else ""
        if self.literal is not None and value == self.default:
            return self.literal + cast, []
        return f"%s{cast}", [self.field.get_db_prep_save(value, connection)]


_known: dict[tuple[type[models.Model], str], tuple[Column, ...]] = {}


def columns_of(model: type[models.Model], connection: BaseDatabaseWrapper) -> tuple[Column, ...]:
    """All of ``model``'s, in the order of its fields."""
    key = model, connection.vendor
    if key not in _known:
        _known[key] = tuple(_column(field, connection) for field in model._meta.concrete_fields)
    return _known[key]


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
