"""What Django would send, as a statement: to be a part of a larger one, or compiled once and sent often."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import models
from django.db.models.sql import UpdateQuery

Statement = tuple[str, list[Any]]
"""SQL and what is bound in it."""


def compiled(query: Any, using: str) -> Statement:
    """The statement of a queryset's ``query``."""
    sql, bound = query.get_compiler(using).as_sql()
    return sql, list(bound)


def compiled_update(rows: models.QuerySet[Any], values: Mapping[str, Any]) -> Statement:
    """The statement of ``rows.update(**values)``."""
    query: Any = rows.query.chain(UpdateQuery)
    query.add_update_values(dict(values))
    return compiled(query, rows.db)
