"""
PostgreSQL: instances of a model from rows that a statement of ours returned.

Times come as text and are read by ``datetime`` itself: the driver and Django take thrice as long for all of a wide
row's times and documents as PostgreSQL for the row.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeVar

from django.db import connections, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.base import ModelState
from django.db.models.signals import post_init, pre_init

Row = TypeVar("Row", bound=models.Model)

_EMPTY: Final = {"{}": dict, "[]": list}


class _Shape(NamedTuple):
    """The columns of a model in order, and where those are that have to be converted."""

    names: list[str]
    columns: list[str]
    moments: list[int]
    documents: list[tuple[int, Any]]


def columns_from(source: str, model: type[models.Model]) -> str:
    """What to select from ``source``, which has the columns of ``model``, for ``instances_of``."""
    return ", ".join(f"{source}.{column}" for column in _shape_of(model).columns)


def instances_of(model: type[Row], rows: Iterable[Sequence[Any]], using: str) -> list[Row]:
    """
    The instances whose columns ``rows`` have.

    Made as Django makes those that were pickled, without a look at each column; in full where somebody listens to that.
    """
    shape = _shape_of(model)
    connection = connections[using]
    found = [_converted(row, shape, connection) for row in rows]
    if pre_init.has_listeners(model) or post_init.has_listeners(model):
        return [model.from_db(using, shape.names, values) for values in found]
    instances = []
    for values in found:
        instance = model.__new__(model)
        instance.__dict__.update(zip(shape.names, values, strict=True))
        instance._state = ModelState()
        instance._state.adding, instance._state.db = False, using
        instances.append(instance)
    return instances


def _converted(row: Sequence[Any], shape: _Shape, connection: BaseDatabaseWrapper) -> list[Any]:
    values = list(row)
    for place in shape.moments:
        if values[place] is not None:
            values[place] = datetime.fromisoformat(values[place])
    for place, field in shape.documents:
        value = values[place]
        if value in _EMPTY:
            values[place] = _EMPTY[value]()
        elif value is not None:
            values[place] = field.from_db_value(value, None, connection)
    return values


@lru_cache(maxsize=8)
def _shape_of(model: type[models.Model]) -> _Shape:
    shape = _Shape([], [], [], [])
    for place, field in enumerate(model._meta.concrete_fields):
        is_moment = isinstance(field, models.DateTimeField)
        shape.names.append(field.attname)
        shape.columns.append(f'"{field.column}"::text' if is_moment else f'"{field.column}"')
        if is_moment:
            shape.moments.append(place)
        elif hasattr(field, "from_db_value"):
            shape.documents.append((place, field))
    return shape
