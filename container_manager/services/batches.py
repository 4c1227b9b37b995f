"""Writing a batch in few statements: groups that share their values."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any


def grouped(keys: Sequence[Any], items: Sequence[Any]) -> list[tuple[Any, list[Any]]]:
    """``items`` by their key, in order of first appearance."""
    groups: defaultdict[Any, list[Any]] = defaultdict(list)
    for key, item in zip(keys, items, strict=True):
        groups[key].append(item)
    return list(groups.items())
