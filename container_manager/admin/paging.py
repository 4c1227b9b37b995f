"""Pages of rows by number, where nobody counts them all: a page knows whether there are older ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from django.db.models import Model, QuerySet

SIZE: Final = 50

Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True, slots=True)
class RowPage(Generic[Row]):
    rows: list[Row]
    number: int
    has_older: bool


def page_of(rows: QuerySet[Row], number: str) -> RowPage[Row]:
    """The page ``number`` of ``rows``, as the address has it; the first where that is none. One query."""
    is_number = number.isascii() and number.isdigit() and len(number) < 6
    wanted = max(1, int(number)) if is_number else 1
    start = (wanted - 1) * SIZE
    found = list(rows[start : start + SIZE + 1])
    return RowPage(found[:SIZE], wanted, len(found) > SIZE)
