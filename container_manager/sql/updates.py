"""
An UPDATE as a statement, to be a part of a larger one.

Django compiles an UPDATE with a dozen of columns for longer than PostgreSQL works on it; here the columns are known
beforehand, and only what is an expression is compiled.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.sql import UpdateQuery

from container_manager.sql.columns import Column, columns_of
from container_manager.sql.statements import Statement

_OPERATORS: Final = {"": "=", "lte": "<="}


def update(
    model: type[models.Model], values: Mapping[str, Any], where: Iterable[Statement], connection: BaseDatabaseWrapper
) -> Statement:
    """Rows of ``model`` for which all of ``where`` holds get ``values``: constants and expressions, by field."""
    columns = columns_of(model, connection)
    assignments, bound = [], []
    for name, value in values.items():
        sql, parameters = _value(columns[name], value, model, connection)
        assignments.append(f"{columns[name].name} = {sql}")
        bound += parameters
    conditions = list(where)
    for _, parameters in conditions:
        bound += parameters
    target = connection.ops.quote_name(model._meta.db_table)
    said = " AND ".join(sql for sql, _ in conditions)
    return f"UPDATE {target} SET {', '.join(assignments)} WHERE {said}", bound  # noqa: S608 - our own names


def conditions_of(
    model: type[models.Model], lookups: Mapping[str, Any], connection: BaseDatabaseWrapper
) -> list[Statement]:
    """``lookups`` as for ``filter()``: a column is a value, NULL with ``None``, or with ``__lte`` at most that."""
    columns = columns_of(model, connection)
    found: list[Statement] = []
    for lookup, value in lookups.items():
        name, _, operator = lookup.partition("__")
        column = columns[name]
        if value is None:
            found.append((f"{column.name} IS NULL", []))
        else:
            found.append((f"{column.name} {_OPERATORS[operator]} %s", [column.bind(value, connection)]))
    return found


def _value(column: Column, value: Any, model: type[models.Model], connection: BaseDatabaseWrapper) -> Statement:
    if value is None:
        return "NULL", []
    if hasattr(value, "compiled"):  # an expression of ours
        sql, parameters = value.compiled(connection)
        return sql, list(parameters)
    if hasattr(value, "resolve_expression"):
        query = UpdateQuery(model)
        resolved = value.resolve_expression(query, allow_joins=False, for_save=True)
        sql, parameters = query.get_compiler(connection=connection).compile(resolved)
        return sql, list(parameters)
    if column.literal is not None and value == column.implied:
        return column.literal, []
    return "%s", [column.bind(value, connection)]
