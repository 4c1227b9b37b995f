"""What a job's specification may look like. Each function lists what is wrong, with the fix; nothing is raised."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, Final

from container_manager.specs import LABEL_PREFIX

QUEUE_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}")


def argument_list(command: str | Sequence[str]) -> tuple[str, ...]:
    """The arguments of a command; a string is split as a shell would, none is run. ``ValueError`` on open quotes."""
    return tuple(shlex.split(command)) if isinstance(command, str) else tuple(command)


def command_problems(command: Any) -> list[str]:
    """For ``command`` and ``entrypoint``: a string, or a list of strings; ``""`` and ``[]`` mean the image's own."""
    if isinstance(command, str):
        if "\0" in command:
            return ["NUL characters cannot be passed to a program; remove them."]
        try:
            shlex.split(command)
        except ValueError as error:
            return [f"Not a command: {error}. Close the quotes, or give a list of arguments."]
        return []
    if isinstance(command, list | tuple) and all(isinstance(argument, str) for argument in command):
        if any("\0" in argument for argument in command):
            return ["NUL characters cannot be passed to a program; remove them."]
        return []
    return ["Give a string, or a list of strings."]


def environment_problems(environment: Any) -> list[str]:
    """An object of strings; names are not empty and hold neither ``=`` nor NUL, values no NUL."""
    if not isinstance(environment, Mapping):
        return ['Give an object of strings: {"NAME": "value"}.']
    problems = []
    for name, value in environment.items():
        if not isinstance(name, str) or not name or "=" in name or "\0" in name:
            problems.append(f"{name!r} is not a variable's name: no '=', no NUL, not empty.")
        elif not isinstance(value, str):
            problems.append(f"{name}: the value {value!r} is not a string; quote it.")
        elif "\0" in value:
            problems.append(f"{name}: a value cannot hold NUL characters; remove them.")
    return problems


def label_problems(labels: Any) -> list[str]:
    """An object of strings whose names are not ours."""
    if not isinstance(labels, Mapping):
        return ['Give an object of strings: {"team": "video"}.']
    problems = []
    for name, value in labels.items():
        if not isinstance(name, str) or not name or "\0" in name or not isinstance(value, str) or "\0" in value:
            problems.append(f"{name!r}: names and values are strings without NUL, names not empty.")
        elif name.startswith(LABEL_PREFIX):
            problems.append(f"{name!r}: names that begin with {LABEL_PREFIX!r} are reserved.")
    return problems


def text_problems(text: str) -> list[str]:
    return ["NUL characters are not allowed; remove them."] if "\0" in text else []


def queue_problems(queue: Any) -> list[str]:
    if isinstance(queue, str) and QUEUE_NAME.fullmatch(queue):
        return []
    return [f"{queue!r} is not a queue's name: 1 to 64 letters, digits, '_', '.', ':' or '-', a letter or digit first."]
