"""``containers run NAME --param K=V``: a job of a definition, and the options that every job takes."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from django.core.files import File
from django.core.management.base import CommandParser
from django.utils import timezone

from container_manager import definitions
from container_manager.exceptions import JobValidationError
from container_manager.management.arguments import add_json, delay, moment, pair, seconds
from container_manager.models import ContainerJob

SHARED: Final = frozenset({
    "name", "priority", "at", "delay", "param", "file", "wait", "wait_timeout", "json",
})  # fmt: skip
_OWN: Final = frozenset({
    "image", "env", "env_file", "label", "queue", "memory_limit", "cpu_limit", "timeout_seconds", "working_directory",
    "user", "network", "max_retries", "retry_policy", "shell",
})  # fmt: skip
"""What a definition says itself."""


def add_shared(parser: CommandParser) -> None:
    """The options that a command takes and a definition too."""
    parser.add_argument("--name", help="How lists show it.")
    parser.add_argument(
        "--param", action="append", default=[], type=pair, metavar="K=V",
        help="A parameter of the definition; several of one are a list. Repeatable.",
    )  # fmt: skip
    parser.add_argument(
        "--file", action="append", default=[], type=pair, metavar="K=PATH",
        help="A parameter that is a file. Repeatable.",
    )  # fmt: skip
    parser.add_argument("--priority", type=int, metavar="0-100", help="Higher first; default 50.")
    when = parser.add_mutually_exclusive_group()
    when.add_argument("--at", type=moment, metavar="TIME", help="Not before: 2030-01-31T18:00.")
    when.add_argument("--in", dest="delay", type=delay, metavar="DELAY", help="Not before: 30s, 5m, 2h, 1d.")
    parser.add_argument(
        "--wait", "--follow", "-f", dest="wait", action="store_true",
        help="Until it has ended; prints its output as it comes. Ctrl-C leaves the job running.",
    )  # fmt: skip
    parser.add_argument("--wait-timeout", type=seconds, metavar="SECONDS", help="Wait, but no longer than this.")
    add_json(parser)


def with_those_after_the_name(options: Mapping[str, Any], words: Sequence[str]) -> dict[str, Any]:
    """
    ``options`` and those that stand behind the definition's name, which a command would get as its arguments.

    ``JobValidationError`` for an option that the definition says itself.
    """
    if own := sorted(option for option in _OWN if options[option]):
        said = "The definition says this; leave it out."
        raise JobValidationError({f"--{option.replace('_', '-')}": [said] for option in own})
    parser = CommandParser(prog=f"containers run {words[0]}", called_from_command_line=True)
    add_shared(parser)
    before = argparse.Namespace(**{option: options[option] for option in SHARED})
    return {**options, **vars(parser.parse_args(words[1:], before))}


def queue_definition(name: str, options: Mapping[str, Any]) -> ContainerJob:
    """
    A job of the definition ``name`` is in the queue.

    ``DefinitionNotFoundError``, or ``JobValidationError`` that names the parameter.
    """
    definition = definitions.find(name)
    parameters: dict[str, Any] = {}
    for key, value in options["param"]:
        known = parameters.get(key)
        parameters[key] = value if known is None else [*(known if isinstance(known, list) else [known]), value]
    if wrong := [key for key in (*parameters, *dict(options["file"])) if key not in definition.fields]:
        known_names = ", ".join(definition.fields) or "none"
        raise JobValidationError({key: [f"There is no such parameter. Known: {known_names}."] for key in wrong})
    given = {key: options[key] for key in ("name", "priority") if options[key] is not None}
    with ExitStack() as opened:
        for key, path in options["file"]:
            parameters[key] = _file(path, key, opened)
        job: ContainerJob = definition.queue(schedule_for=start_of(options), **given, **parameters)
        return job


def start_of(options: Mapping[str, Any]) -> datetime | None:
    """Not before then: ``--in`` or ``--at``."""
    start: datetime | None = options["at"]
    return start if options["delay"] is None else timezone.now() + options["delay"]


def _file(path: str, key: str, opened: ExitStack) -> File[bytes]:
    try:
        return File(opened.enter_context(Path(path).open("rb")), name=Path(path).name)
    except OSError as error:
        raise JobValidationError({key: [f"{path} cannot be read: {error.strerror}."]}) from error
