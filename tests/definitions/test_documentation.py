"""The code of the documentation page runs as it is written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from container_manager import queue_manager, registry

PAGE = Path(__file__).parents[2] / "docs" / "definitions.md"


@pytest.mark.django_db
def test_the_page_on_definitions_runs_from_top_to_bottom(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_definitions", registry.all_definitions())
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), flags=re.DOTALL | re.MULTILINE)
    names = {"queue_manager": queue_manager, "__name__": "video.container_jobs"}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)  # noqa: S102 - our own page
    assert len(blocks) == 4
