"""Arguments that several verbs share."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from django.core.management.base import CommandParser

from container_manager import filtering
from container_manager.filtering import JobFilter
from container_manager.states import Outcome, Status

_UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
ID_HELP: Final = "The first or last characters of its id, or the first of the twelve that tables show."


def add_filters(parser: CommandParser) -> None:
    """An option for each criterion of ``JobFilter``; those that may be given again are alternatives, labels are not."""
    several: dict[str, Any] = {"action": "append", "default": []}
    parser.add_argument(
        "--status", **several, choices=list(Status), metavar="STATUS",
        help=f"One of {', '.join(Status)}; repeatable.",
    )  # fmt: skip
    parser.add_argument("--queue", **several, metavar="NAME", help="Repeatable.")
    parser.add_argument("--host", **several, metavar="NAME", help="Ran there; repeatable.")
    parser.add_argument(
        "--outcome", **several, choices=list(Outcome), metavar="OUTCOME",
        help=f"One of {', '.join(Outcome)}; repeatable.",
    )  # fmt: skip
    parser.add_argument("--exit-code", **several, type=int, metavar="N", help="Repeatable.")
    parser.add_argument("--label", **several, type=pair, metavar="K=V", help="Repeatable, all must match.")
    parser.add_argument("--definition", **several, metavar="NAME", help="Made from it; repeatable.")
    parser.add_argument("--tenant", **several, metavar="NAME", help="Repeatable.")
    parser.add_argument("--batch", **several, type=UUID, metavar="ID", help="Queued with it; repeatable.")
    for what in ("created", "finished"):
        parser.add_argument(f"--{what}-after", type=moment, metavar="TIME", help="From then on; without a zone, ours.")
        parser.add_argument(f"--{what}-before", type=moment, metavar="TIME", help="Before then.")
    parser.add_argument("--error", default="", metavar="TEXT", help="The whole text of its error.")
    parser.add_argument(
        "--search", default="", metavar="TEXT", help="In its id, name, command, image or error, upper or lower case."
    )


def filter_from(options: Mapping[str, Any]) -> JobFilter:
    names = (
        "status", "queue", "host", "outcome", "exit_code", "definition", "tenant", "batch", "created_after",
        "created_before", "finished_after", "finished_before", "error", "search",
    )  # fmt: skip
    return JobFilter(**{name: options[name] for name in names}, labels=dict(options["label"]))


def add_json(parser: CommandParser) -> None:
    parser.add_argument("--json", action="store_true", help="One JSON object, for programs.")


def pair(text: str) -> tuple[str, str]:
    """``NAME=VALUE``."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def variable(text: str) -> tuple[str, str]:
    """``NAME=VALUE``, or ``NAME`` for the caller's own value, which then is in no shell history."""
    if text and "=" not in text:
        if text not in os.environ:
            raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE, nor a variable that is set here")
        return text, os.environ[text]
    return pair(text)


def variables_file(path: str) -> dict[str, str]:
    """The variables of a file with one ``NAME=VALUE`` a line, taken as they are; empty lines and ``#`` are skipped."""
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise argparse.ArgumentTypeError(f"{path!r} cannot be read: {error}") from error
    found = {}
    for number, line in enumerate(lines, start=1):
        if line.strip() and not line.lstrip().startswith("#"):
            try:
                name, value = variable(line.lstrip())
            except argparse.ArgumentTypeError as error:
                raise argparse.ArgumentTypeError(f"{path}, line {number}: {error}") from error
            found[name] = value
    return found


def moment(text: str) -> datetime:
    """An ISO date and time; without a zone, the project's."""
    try:
        return filtering.moment(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def delay(text: str) -> timedelta:
    """``30s``, ``5m``, ``2h``, ``1d``."""
    number, unit = text[:-1], text[-1:]
    if unit not in _UNITS or not (number.isascii() and number.isdigit()) or len(number) > 9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a delay: 30s, 5m, 2h or 1d")
    return timedelta(seconds=int(number) * _UNITS[unit])


def whole(text: str) -> int:
    """A whole number from 0 up."""
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 up")
    return int(text)


def positive(text: str) -> int:
    """A whole number from 1 up."""
    if not whole(text):
        raise argparse.ArgumentTypeError("0 is too few; give 1 or more")
    return int(text)


def seconds(text: str) -> float:
    """A number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return value
