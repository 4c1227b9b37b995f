"""Which jobs are meant: one set of filters for the admin, the command line and REST."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, time
from typing import Any, Final
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, TextChoices, TextField
from django.db.models.fields.json import KeyTransform
from django.db.models.functions import Cast
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from container_manager.exceptions import JobValidationError
from container_manager.models import JobAttempt
from container_manager.models.job_queryset import JobQuerySet
from container_manager.states import Outcome, Status

_DASHES: Final = (8, 12, 16, 20)
_ID_DIGITS: Final = 32
_SHORTEST_ID: Final = 4
"""Hexadecimal digits from which on a search may mean an id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """
    Each criterion narrows; empty = any. Several values of one criterion are alternatives, several labels are not.

    ``host``: any of the job's attempts was there. ``worker``: it owns the job now. ``error``: the
    whole text. ``search``: begins or ends the id, or is in the name, command, image or error.
    The moments are aware; ``_after`` is inclusive, ``_before`` is not.
    """

    status: Collection[str] = ()
    queue: Collection[str] = ()
    host: Collection[str] = ()
    worker: Collection[UUID] = ()
    outcome: Collection[str] = ()
    exit_code: Collection[int] = ()
    definition: Collection[str] = ()
    tenant: Collection[str] = ()
    batch: Collection[UUID] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    error: str = ""
    search: str = ""
    created_after: datetime | None = None
    created_before: datetime | None = None
    finished_after: datetime | None = None
    finished_before: datetime | None = None

    @property
    def is_empty(self) -> bool:
        return not any(getattr(self, each.name) for each in fields(self))

    def apply(self, jobs: JobQuerySet) -> JobQuerySet:
        """Those of ``jobs`` that match."""
        given = {f"{column}__{lookup}": getattr(self, criterion) for criterion, column, lookup in _COLUMNS}
        jobs = jobs.filter(**{lookup: value for lookup, value in given.items() if value})
        if self.host:
            there = JobAttempt.objects.using(jobs.db).filter(job=OuterRef("pk"), host__name__in=self.host)
            jobs = jobs.filter(Exists(there))
        for position, (name, value) in enumerate(self.labels.items()):
            alias = f"label_{position}"
            jobs = jobs.alias(**{alias: KeyTransform(name, "labels")}).filter(**{alias: value})
        return _searched(jobs, self.search.strip()) if self.search.strip() else jobs


_COLUMNS: Final = (
    *(
        (name, name, "in")
        for name in ("status", "queue", "worker", "outcome", "exit_code", "definition", "tenant", "batch")
    ),
    ("error", "error", "exact"),
    ("created_after", "created_at", "gte"),
    ("created_before", "created_at", "lt"),
    ("finished_after", "finished_at", "gte"),
    ("finished_before", "finished_at", "lt"),
)
"""Criterion, column and lookup of those that compare a column."""


def parse(texts: Mapping[str, Sequence[str]]) -> JobFilter:
    """
    The filter that a query string says: the names of ``JobFilter``, and ``label`` for each ``NAME=VALUE``.

    Other names and empty values are passed over. ``JobValidationError`` names each wrong value.
    """
    values: dict[str, Any] = {}
    problems: dict[str, list[str]] = {}
    for name, read in _READERS.items():
        given = [text.strip() for text in texts.get(name, ()) if text.strip()]
        try:
            read_values = [read(text) for text in given]
        except ValueError as error:
            problems[name] = [str(error)]
            continue
        if read_values:
            values[name] = read_values[-1] if name in _SINGLE else read_values
    if problems:
        raise JobValidationError(problems)
    labels = dict(values.pop("label", ()))
    return JobFilter(**values, labels=labels)


def moment(text: str) -> datetime:
    """An ISO date, or date and time, aware; without a zone, the project's. ``ValueError`` says what is wrong."""
    try:
        day = parse_date(text)
        parsed = datetime.combine(day, time()) if day else parse_datetime(text)
    except ValueError as error:
        raise ValueError(f"{text!r}: {error}") from error
    if not parsed:
        raise ValueError(f"{text!r} is not a date and time: 2030-01-31T18:00.")
    return timezone.make_aware(parsed) if timezone.is_naive(parsed) else parsed


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise ValueError(f"{text!r} is not NAME=VALUE.")
    return name, value


def _one_of(choices: type[TextChoices]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in choices.values:
            raise ValueError(f"{text!r} is none of {', '.join(choices.values)}.")
        return text

    return read


def _whole(text: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,9}", text):
        raise ValueError(f"{text!r} is not a whole number.")
    return int(text)


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise ValueError(f"{text!r} is not an id.") from None


_READERS: Final[dict[str, Callable[[str], Any]]] = {
    "status": _one_of(Status), "outcome": _one_of(Outcome), "queue": str, "host": str, "worker": _id,
    "exit_code": _whole, "definition": str, "tenant": str, "batch": _id, "label": _pair, "error": str, "search": str,
    "created_after": moment, "created_before": moment, "finished_after": moment, "finished_before": moment,
}  # fmt: skip
_SINGLE: Final = frozenset({"error", "search", "created_after", "created_before", "finished_after", "finished_before"})


def id_begins(digits: str) -> Q:
    """The id begins with these hexadecimal digits: a range of the primary key, so any database reads only that."""
    return Q(pk__gte=UUID(digits.ljust(_ID_DIGITS, "0")), pk__lte=UUID(digits.ljust(_ID_DIGITS, "f")))


def id_ends(digits: str) -> Q:
    """The id ends with these hexadecimal digits, as the database's own text of it has them."""
    start = _ID_DIGITS - len(digits)
    return Q(
        pk__endswith="".join(
            f"-{digit}" if start + place in _DASHES and place else digit for place, digit in enumerate(digits)
        )
    )


def id_digits(text: str) -> str:
    """The hexadecimal digits of a whole or partial id; empty when ``text`` is none."""
    digits = text.replace("-", "").lower()
    return digits if re.fullmatch(rf"[0-9a-f]{{1,{_ID_DIGITS}}}", digits) else ""


def _searched(jobs: JobQuerySet, text: str) -> JobQuerySet:
    digits = id_digits(text)
    if len(digits) == _ID_DIGITS:
        return jobs.filter(pk=UUID(digits))
    # Some databases keep JSON with its escapes; the words of a command are searched in either form.
    jobs = jobs.alias(command_text=Cast("command", TextField()))
    written = {json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
    found = Q(name__icontains=text) | Q(image__icontains=text) | Q(error__icontains=text)
    for form in written:
        found |= Q(command_text__icontains=form)
    if len(digits) >= _SHORTEST_ID:
        found |= id_begins(digits) | id_ends(digits)
    return jobs.filter(found)
