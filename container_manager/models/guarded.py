"""Saving without smuggling: an instance writes the protocol's columns only where it changed them, and guarded."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Self, TypeVar

from django.db import DEFAULT_DB_ALIAS, models, router, transaction

from container_manager.exceptions import InvalidTransitionError

Row = TypeVar("Row", bound="GuardedModel")


class GuardedModel(models.Model):
    """
    A model some of whose columns belong to a protocol between processes.

    ``save()`` of an existing row leaves ``guarded_fields`` alone unless they were changed on
    this instance since it was loaded; then ``save_guarded`` writes them. So a stale instance,
    an admin form's for example, overwrites nothing of the protocol's, and costs no extra query.
    """

    guarded_fields: ClassVar[frozenset[str]] = frozenset()
    _loaded: Mapping[str, Any] = MappingProxyType({})

    class Meta:
        abstract = True

    def save(
        self,
        *,
        force_insert: bool | tuple[models.base.ModelBase, ...] = False,
        force_update: bool = False,
        using: str | None = None,
        update_fields: Iterable[str] | None = None,
    ) -> None:
        if self._state.adding or force_insert:
            self.prepare_insert()
            super().save(force_insert=True, using=using, update_fields=None)
            self.inserted([self], self._state.db or DEFAULT_DB_ALIAS)
            self.mark_as_loaded()
            return
        database = using or router.db_for_write(type(self), instance=self)
        wanted = None if update_fields is None else set(update_fields)
        changes = self.guarded_changes()
        if wanted is not None:
            changes = {name: value for name, value in changes.items() if name in wanted}
        free = self._free_fields(wanted)
        if not changes:
            super().save(force_update=force_update, using=database, update_fields=free)
            return
        with transaction.atomic(using=database):
            self.save_guarded(changes, database)
            super().save(force_update=force_update, using=database, update_fields=free)
        self.mark_as_loaded(changes)

    @classmethod
    def from_db(cls, db: str | None, field_names: Collection[str], values: Collection[Any], **kwargs: Any) -> Self:
        instance = super().from_db(db, field_names, values, **kwargs)
        instance.mark_as_loaded()
        return instance

    def refresh_from_db(
        self, using: str | None = None, fields: Iterable[str] | None = None, from_queryset: Any = None
    ) -> None:
        names = None if fields is None else list(fields)
        super().refresh_from_db(using=using, fields=names, from_queryset=from_queryset)
        self.mark_as_loaded(names)

    def mark_as_loaded(self, names: Iterable[str] | None = None) -> None:
        """The instance's guarded values are taken for the row's."""
        state = self.__dict__
        marked = self.guarded_fields if names is None else self.guarded_fields.intersection(names)
        # A new dictionary: copy.copy() of an instance shares the old one.
        self._loaded = {**self._loaded, **{name: state[name] for name in marked if name in state}}

    def guarded_changes(self) -> dict[str, Any]:
        """Guarded columns whose value on this instance differs from the one that was loaded."""
        state, loaded = self.__dict__, self._loaded
        return {
            name: state[name]
            for name in self.guarded_fields
            if name in state and (name not in loaded or state[name] != loaded[name])
        }

    def prepare_insert(self) -> None:
        """Called before a new row is inserted, also in bulk: fill what the given values imply."""

    @classmethod
    def inserted(cls, rows: Sequence[Self], using: str) -> None:
        """Called after new rows were inserted, also in bulk: insert what belongs to them."""

    def save_guarded(self, changes: dict[str, Any], using: str) -> None:
        """Write ``changes`` with one guarded UPDATE, or raise ``InvalidTransitionError`` and write nothing."""
        raise NotImplementedError

    def _free_fields(self, wanted: set[str] | None) -> list[str]:
        deferred = self.get_deferred_fields()
        names = (
            field.name
            for field in self._meta.concrete_fields
            if not field.primary_key and field.attname not in deferred and field.name not in self.guarded_fields
        )
        return [name for name in names if wanted is None or name in wanted]


def stale(job_id: object, source: str, target: str) -> InvalidTransitionError:
    """The error for an instance that is behind its row."""
    return InvalidTransitionError(
        job_id, source, target, "The row was changed since this instance was loaded: refresh_from_db() and look again."
    )


class GuardedQuerySet(models.QuerySet[Row]):
    """Bulk inserts get what single ones get."""

    def bulk_create(self, objs: Iterable[Row], *args: Any, **kwargs: Any) -> list[Row]:
        rows = list(objs)
        for row in rows:
            row.prepare_insert()
        created = super().bulk_create(rows, *args, **kwargs)
        self.model.inserted(rows, self.db)
        for row in rows:
            row.mark_as_loaded()
        return created
