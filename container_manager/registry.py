"""The job definitions of this process by name. Modules below ``definitions`` ask here and import none."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from container_manager.exceptions import ConfigurationError, DefinitionNotFoundError

_definitions: dict[str, type[Any]] = {}


def register(name: str, definition: type[Any]) -> None:
    """``definition`` is found under ``name``. ``ConfigurationError`` when another has it."""
    known = _definitions.get(name)
    # A module that is reloaded defines its classes anew.
    if known is not None and _path(known) != _path(definition):
        raise ConfigurationError(
            f"Two job definitions have the name {name!r}: {_path(known)} and {_path(definition)}. "
            "Give one of them another: name = '...'."
        )
    _definitions[name] = definition


def find(name: str) -> type[Any]:
    """The definition called ``name``. ``DefinitionNotFoundError`` names the nearest one."""
    try:
        return _definitions[name]
    except KeyError:
        raise DefinitionNotFoundError({"definition": [_unknown(name)]}) from None


def is_known(name: str) -> bool:
    return name in _definitions


def all_definitions() -> dict[str, type[Any]]:
    """Every definition by name, in the order of their names."""
    return dict(sorted(_definitions.items()))


def _unknown(name: str) -> str:
    near = get_close_matches(name, _definitions, n=1)
    hint = f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(sorted(_definitions)) or 'none'}."
    return f"There is no job definition {name!r}. {hint} They are found in container_jobs.py of each installed app."


def _path(definition: type[Any]) -> str:
    return f"{definition.__module__}.{definition.__qualname__}"
