"""What a job's specification may look like. Each function lists what is wrong, with the fix; nothing is raised."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final

from container_manager.specs import LABEL_PREFIX

LARGEST_INTEGER: Final = 2_147_483_647
"""What an integer column holds on every database."""
SECRET_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
SECRET_REFERENCE: Final = re.compile(
    r"env:[A-Za-z_]\w*|file:/[^\0]+|setting:[A-Z_][A-Z0-9_]*|(?!env:|file:|setting:)[A-Za-z_]\w*(\.[A-Za-z_]\w*)+:.*"
)
_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")
_SPLIT_AT_SPACES: Final = re.compile(r"[A-Za-z0-9_./=:,@%+ -]*")
"""Where a shell finds nothing but words."""
QUEUE_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}")


def _can_be_passed(text: str) -> bool:
    """Whether a program, and every database, can take it."""
    return "\0" not in text and (text.isascii() or not _SURROGATE.search(text))


def argument_list(command: str | Sequence[str]) -> tuple[str, ...]:
    """The arguments of a command; a string is split as a shell would, none is run. ``ValueError`` on open quotes."""
    if not isinstance(command, str):
        return tuple(command)
    # shlex reads character by character: fifty times as long.
    return tuple(command.split() if _SPLIT_AT_SPACES.fullmatch(command) else shlex.split(command))


def command_problems(command: Any) -> list[str]:
    """For ``command`` and ``entrypoint``: a string, or a list of strings; ``""`` and ``[]`` mean the image's own."""
    is_list = isinstance(command, list | tuple) and all(isinstance(argument, str) for argument in command)
    if not isinstance(command, str) and not is_list:
        return ["Give a string, or a list of strings."]
    if not all(map(_can_be_passed, [command] if isinstance(command, str) else command)):
        return ["NUL and lone surrogates cannot be passed to a program; remove them."]
    try:
        arguments = argument_list(command)
    except ValueError as error:
        return [f"Not a command: {error}. Close the quotes, or give a list of arguments."]
    if (command and not arguments) or (arguments and not arguments[0]):
        return ["The program's name, the first word, is empty."]
    return []


def environment_problems(environment: Any) -> list[str]:
    """An object of strings; names are not empty and hold neither ``=`` nor NUL, values no NUL."""
    if not isinstance(environment, Mapping):
        return ['Give an object of strings: {"NAME": "value"}.']
    problems = []
    for name, value in environment.items():
        if not isinstance(name, str) or not name or "=" in name or not _can_be_passed(name):
            problems.append(f"{name!r} is not a variable's name: no '=', no NUL, not empty.")
        elif not isinstance(value, str):
            problems.append(f"{name}: the value {value!r} is not a string; quote it.")
        elif not _can_be_passed(value):
            problems.append(f"{name}: a value cannot hold NUL or lone surrogates; remove them.")
    return problems


def secret_problems(secrets: Any) -> list[str]:
    """An object: each name's reference, or ``{"reference": ..., "as": "file" or "environment"}``."""
    if not isinstance(secrets, Mapping):
        return ['Give an object of references: {"API_TOKEN": "env:ACME_TOKEN"}.']
    problems = []
    for name, secret in secrets.items():
        if not isinstance(name, str) or not SECRET_NAME.fullmatch(name):
            problems.append(f"{name!r} is not a secret's name: letters, digits, '_', '.' and '-', at most 100.")
            continue
        reference, way = (secret, "file") if isinstance(secret, str) else _reference_and_way(secret)
        if way not in ("file", "environment"):
            problems.append(f"{name}: give a reference, or {{'reference': ..., 'as': 'file' or 'environment'}}.")
        elif not isinstance(reference, str) or not SECRET_REFERENCE.fullmatch(reference):
            # Not shown: it may be the secret itself, put here by mistake.
            forms = "env:NAME, file:/path, setting:NAME, or a provider, dotted.path:argument"
            problems.append(f"{name}: not a reference. Give {forms}.")
    return problems


def _reference_and_way(secret: Any) -> tuple[Any, Any]:
    if not isinstance(secret, Mapping) or set(secret) - {"reference", "as"}:
        return None, None
    return secret.get("reference"), secret.get("as", "file")


def image_problems(image: str, allowed: Sequence[str] | None) -> list[str]:
    """That ``image`` matches one of the patterns; ``None`` allows every image, and no image needs no leave."""
    if allowed is None or not isinstance(image, str) or not image:
        return []
    if any(fnmatchcase(image, pattern) for pattern in allowed):
        return []
    listed = ", ".join(allowed) or "none"
    return [f"The image {image!r} is not allowed. CONTAINER_MANAGER['IMAGES'] allows: {listed}."]


def label_problems(labels: Any) -> list[str]:
    """An object of strings whose names are not ours."""
    if not isinstance(labels, Mapping):
        return ['Give an object of strings: {"team": "video"}.']
    problems = []
    for name, value in labels.items():
        if not all(isinstance(text, str) and _can_be_passed(text) for text in (name, value)) or not name:
            problems.append(f"{name!r}: names and values are strings without NUL, names not empty.")
        elif name.startswith(LABEL_PREFIX):
            problems.append(f"{name!r}: names that begin with {LABEL_PREFIX!r} are reserved.")
    return problems


def text_problems(text: Any, longest: int) -> list[str]:
    """A string that every database takes, of at most ``longest`` characters."""
    if not isinstance(text, str):
        return [f"Give a string, not {text!r}; empty means none."]
    if not _can_be_passed(text):
        return ["NUL and lone surrogates are not allowed; remove them."]
    return [f"Give at most {longest} characters, not {len(text)}."] if len(text) > longest else []


def whole_number_problems(value: Any, lowest: int, highest: int = LARGEST_INTEGER) -> list[str]:
    if isinstance(value, int) and not isinstance(value, bool) and lowest <= value <= highest:
        return []
    return [f"Give a whole number from {lowest} to {highest}."]


def cores_problems(value: Any) -> list[str]:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf:
        return []
    return ["Give a number of cores above 0, or leave it empty."]


def queue_problems(queue: Any) -> list[str]:
    if isinstance(queue, str) and QUEUE_NAME.fullmatch(queue):
        return []
    return [f"{queue!r} is not a queue's name: 1 to 64 letters, digits, '_', '.', ':' or '-', a letter or digit first."]
