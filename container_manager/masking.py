"""Secrets in a job's output are replaced before anything is kept of it, also where a read cuts one in two."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final
from urllib.parse import quote

from container_manager.specs import LogEntry

MASK: Final = "********"
SHORTEST: Final = 4
"""Shorter values are left: masking every 'a' would leave nothing to read and hide nothing."""
SHORTEST_LINE: Final = 12
"""Of a secret of several lines, a key for example, each line of this length is masked on its own too."""
SHORTEST_CODED: Final = 8
"""The same for what is left of a secret in base64."""


class Masker:
    """Replaces ``values`` by ``MASK``, also as they stand in JSON, in an address, and in base64."""

    def __init__(self, values: Iterable[str]) -> None:
        wanted = set()
        for value in values:
            lines = value.splitlines()
            wanted |= {line for line in lines if len(lines) > 1 and len(line) >= SHORTEST_LINE}
            wanted |= {form for text in (value, value.strip()) for form in _forms(text)}
        self._texts = sorted((text for text in wanted if len(text) >= SHORTEST), key=len, reverse=True)
        self._secrets = [text.encode() for text in self._texts]
        self._pattern = re.compile(b"|".join(map(re.escape, self._secrets))) if self._secrets else None

    @property
    def is_needed(self) -> bool:
        return self._pattern is not None

    def mask_value(self, value: Any) -> Any:
        """A text, or JSON's lists and objects of them, without any secret."""
        if not self.is_needed:
            return value
        if isinstance(value, str):
            for text in self._texts:
                value = value.replace(text, MASK)
            return value
        if isinstance(value, list):
            return [self.mask_value(item) for item in value]
        if isinstance(value, dict):
            return {self.mask_value(key): self.mask_value(item) for key, item in value.items()}
        return value

    def mask_entries(self, entries: Sequence[LogEntry], *, must_take: bool) -> tuple[LogEntry, ...] | None:
        """
        ``entries`` without any secret, each stream seen as one text.

        ``None`` when a stream ends with what may be a secret's beginning: read again from before, with
        more. With ``must_take`` such a beginning is masked instead.
        """
        if self._pattern is None:
            return tuple(entries)
        masked = list(entries)
        for stream in {entry.stream for entry in entries}:
            positions = [position for position, entry in enumerate(entries) if entry.stream == stream]
            joined = b"".join(entries[position].data for position in positions)
            hidden = [match.span() for match in self._pattern.finditer(joined)]
            beginning = self._beginning_at_end(joined, hidden[-1][1] if hidden else 0)
            if beginning and not must_take:
                return None
            if beginning >= SHORTEST:
                hidden.append((len(joined) - beginning, len(joined)))
            if hidden:
                _hide(masked, positions, hidden)
        return tuple(entry for entry in masked if entry.data)

    def _beginning_at_end(self, data: bytes, start: int) -> int:
        """How many of the last bytes after ``start`` may go on to be a secret."""
        longest = 0
        for secret in self._secrets:
            for length in range(min(len(secret) - 1, len(data) - start), longest, -1):
                if data.endswith(secret[:length]):
                    longest = length
                    break
        return longest


def _forms(text: str) -> Iterator[str]:
    """Itself and what programs make of it; in base64 for each place that it may have among the coded bytes."""
    yield text
    yield json.dumps(text)[1:-1]
    yield quote(text, safe="")
    data = text.encode()
    for before in range(3):
        # The outermost characters hold bits of its neighbours too.
        coded = base64.b64encode(bytes(before) + data).decode()[-(-before * 8 // 6) : (before + len(data)) * 8 // 6]
        if len(coded) >= SHORTEST_CODED:
            yield coded
            yield coded.translate({ord("+"): "-", ord("/"): "_"})


def _hide(entries: list[LogEntry], positions: Sequence[int], hidden: Sequence[tuple[int, int]]) -> None:
    """In the entries at ``positions``, seen as one text, each span of ``hidden`` is the mask where it begins."""
    offset = 0
    for position in positions:
        data = entries[position].data
        kept, cursor = bytearray(), 0
        for start, end in hidden:
            first, last = start - offset, end - offset
            if last <= 0 or first >= len(data):
                continue
            kept += data[cursor : max(first, 0)]
            if first >= 0:
                kept += MASK.encode()
            cursor = min(last, len(data))
        kept += data[cursor:]
        entries[position] = replace(entries[position], data=bytes(kept))
        offset += len(data)
