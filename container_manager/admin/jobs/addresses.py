"""A query string with something changed: every view of the list is an address."""

from __future__ import annotations

from collections.abc import Iterable

from django.http import QueryDict

PAGING = ("before", "after")


def changed(query: QueryDict, *, without: Iterable[str] = (), **values: str | None) -> str:
    """``?...``: ``query`` from its first page on, with ``values`` instead (``None`` = none)."""
    copy = query.copy()
    for name in (*PAGING, *without, *values):
        copy.pop(name, None)
    for name, value in values.items():
        if value is not None:
            copy[name] = value
    return f"?{copy.urlencode()}"


def less(query: QueryDict, name: str, value: str) -> str:
    """``?...``: ``query`` without one ``value`` of ``name``."""
    copy = query.copy()
    for paging in PAGING:
        copy.pop(paging, None)
    copy.setlist(name, [other for other in copy.getlist(name) if other != value])
    return f"?{copy.urlencode()}"
