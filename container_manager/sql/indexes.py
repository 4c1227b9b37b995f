"""Partial indexes where the database has them, full ones where it does not; literals that a planner can see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.backends.ddl_references import Statement
from django.db.models import Index, Model, Q, Value


class PartialIndex(Index):
    """
    An index over the rows that match ``where``; without partial indexes, a full one led by ``lead``.

    Either way a query that fixes the columns of ``where`` reads only matching rows in index
    order. ``condition`` stays unset, so that Django does not warn (W037) about databases
    that would ignore it.
    """

    def __init__(self, *, fields: Sequence[str], name: str, where: Q, lead: Sequence[str] = ()) -> None:
        super().__init__(fields=list(fields), name=name)
        self.where, self.lead = where, tuple(lead)

    def deconstruct(self) -> tuple[str, Sequence[Any], dict[str, Any]]:
        path, _args, kwargs = super().deconstruct()
        return path, (), {**kwargs, "where": self.where, "lead": self.lead}

    def create_sql(
        self, model: type[Model], schema_editor: BaseDatabaseSchemaEditor, using: str = "", **kwargs: Any
    ) -> Statement:
        if schema_editor.connection.features.supports_partial_indexes:
            index = Index(fields=self.fields, name=self.name, condition=self.where)
        else:
            index = Index(fields=[*self.lead, *self.fields], name=self.name)
        return index.create_sql(model, schema_editor, using=using, **kwargs)


class Literal(Value):
    """
    A fixed word written into the statement instead of bound as a parameter.

    A generic plan cannot match a partial index against a parameter. Only for constants of
    ours: letters and underscores.
    """

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[()]]:
        word = str(self.value)
        if not (word == "" or word.replace("_", "").isalpha()):
            raise ValueError(f"{word!r} is not a constant")
        return f"'{word}'", ()
