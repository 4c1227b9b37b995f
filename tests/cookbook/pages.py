"""The code of the cookbook's pages."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from tests.projects import ROOT

PAGES: Final = ROOT / "docs" / "cookbook"


def blocks_of(page: str) -> list[str]:
    """The page's Python blocks in their order."""
    blocks = re.findall(r"^```python\n(.*?)^```", (PAGES / page).read_text(), flags=re.DOTALL | re.MULTILINE)
    assert blocks
    return blocks


def names_of(page: str, blocks: Iterable[str] | None = None) -> dict[str, Any]:
    """What the blocks, all of the page unless some are given, define when they run one after another as one module."""
    names: dict[str, Any] = {"__name__": f"cookbook.{page.removesuffix('.md')}"}
    for block in blocks_of(page) if blocks is None else blocks:
        exec(compile(block, page, "exec"), names)  # noqa: S102 - our own pages
    return names
