"""Several questions in one statement, each compiled from a queryset."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connections, models

from container_manager.sql.statements import Statement, compiled

Scalar = Statement
"""An SQL expression and what is bound in it."""


def count_of(rows: models.QuerySet[Any]) -> Scalar:
    """How many ``rows`` there are, from an index alone where one has them."""
    try:
        sql, bound = compiled(rows.query.exists(limit=False), rows.db)
    except EmptyResultSet:
        return "0", []
    return f"(SELECT COUNT(*) FROM ({sql}) AS counted)", bound  # noqa: S608 - compiled


def count_where(model: type[models.Model], conditions: Iterable[Statement], using: str) -> int:
    """How many rows of ``model`` there are for which all of ``conditions`` holds. For what is asked very often."""
    connection = connections[using]
    sql, bound = zip(*conditions, strict=True)
    table = connection.ops.quote_name(model._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT COUNT(*) FROM {table} WHERE {' AND '.join(sql)}",  # noqa: S608 - our own names
            [value for values in bound for value in values],
        )
        return int(cursor.fetchone()[0])


def is_any_of(rows: models.QuerySet[Any]) -> Scalar:
    """
    Whether there is one of ``rows``.

    Ordered ones are looked for in their order, and so in the index that has it. PostgreSQL otherwise expects one of
    many soon, wherever it begins to read the table, and reads all that has ended before.
    """
    if rows.query.order_by:
        sql, bound = compiled(rows.values_list("pk")[:1].query, rows.db)
        return f"(({sql}) IS NOT NULL)", bound
    sql, bound = compiled(rows.query.exists(), rows.db)
    return f"EXISTS ({sql})", bound


def first_of(rows: models.QuerySet[Any], column: str) -> Scalar:
    """The lowest value of ``column``; NULL without rows."""
    sql, bound = compiled(rows.order_by(column).values_list(column)[:1].query, rows.db)
    return f"({sql})", bound


def ask(parts: Sequence[Scalar], using: str) -> tuple[Any, ...]:
    """The answer to each of ``parts``, as the driver returns it. One statement."""
    with connections[using].cursor() as cursor:
        cursor.execute(*asking(parts))
        return tuple(cursor.fetchone())


def asking(parts: Sequence[Scalar]) -> Scalar:
    """The statement that asks all of ``parts``."""
    return f"SELECT {', '.join(sql for sql, _ in parts)}", [value for _, bound in parts for value in bound]
