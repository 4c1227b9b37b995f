"""Arguments that several verbs share."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from django.core.management.base import CommandParser
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from container_manager.filtering import JobFilter
from container_manager.states import Outcome, Status

_UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def add_filters(parser: CommandParser) -> None:
    """``--status``, ``--queue``, ``--host``, ``--outcome``, ``--label``, each repeatable."""
    parser.add_argument("--status", action="append", default=[], choices=list(Status), help="Repeatable.")
    parser.add_argument("--queue", action="append", default=[], metavar="NAME", help="Repeatable.")
    parser.add_argument("--host", action="append", default=[], metavar="NAME", help="Ran there; repeatable.")
    parser.add_argument("--outcome", action="append", default=[], choices=list(Outcome), help="Repeatable.")
    parser.add_argument(
        "--label", action="append", default=[], type=pair, metavar="K=V", help="Repeatable, all must match."
    )


def filter_from(options: Mapping[str, Any]) -> JobFilter:
    return JobFilter(
        status=options["status"], queue=options["queue"], host=options["host"], outcome=options["outcome"],
        labels=dict(options["label"]),
    )  # fmt: skip


def pair(text: str) -> tuple[str, str]:
    """``NAME=VALUE``."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def moment(text: str) -> datetime:
    """An ISO date and time; without a zone, the project's."""
    try:
        parsed = parse_datetime(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from error
    if parsed is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date and time: 2030-01-31T18:00")
    return timezone.make_aware(parsed) if timezone.is_naive(parsed) else parsed


def delay(text: str) -> timedelta:
    """``30s``, ``5m``, ``2h``, ``1d``."""
    number, unit = text[:-1], text[-1:]
    if unit not in _UNITS or not number.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a delay: 30s, 5m, 2h or 1d")
    return timedelta(seconds=int(number) * _UNITS[unit])
