"""``{name}`` in a definition's texts: it becomes a parameter's value, inside the one argument that it stands in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

_PLACEHOLDER: Final = re.compile(r"\{\{(?P<escaped>\w+)\}\}|\{(?P<name>[A-Za-z_]\w*)\}")


def names_in(texts: Sequence[str]) -> Iterator[str]:
    """The names between single braces; ``{{name}}`` stands for the text ``{name}``."""
    for text in texts:
        for match in _PLACEHOLDER.finditer(text):
            if match["name"]:
                yield match["name"]


def fill(text: str, values: Mapping[str, str]) -> str:
    """``text`` with each placeholder replaced. What a value holds is not looked at again."""
    return _PLACEHOLDER.sub(lambda match: values[match["name"]] if match["name"] else f"{{{match['escaped']}}}", text)


def as_text(value: Any) -> str:
    """What a program is given for a parameter: nothing for ``None``, ``true`` and ``false``, lists joined by commas."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return ",".join(map(as_text, value))
    return str(value)
