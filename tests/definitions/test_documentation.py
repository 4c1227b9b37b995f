"""The code of the documentation page runs as it is written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.conf import LazySettings

from container_manager import queue_manager, registry

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.django_db
@pytest.mark.parametrize(("page", "count"), [("definitions.md", 4), ("files.md", 2)])
def test_the_code_of_a_page_runs_from_top_to_bottom(
    page: str, count: int, monkeypatch: pytest.MonkeyPatch, settings: LazySettings, tmp_path: Path
) -> None:
    settings.MEDIA_ROOT = tmp_path
    monkeypatch.setattr(registry, "_definitions", registry.all_definitions())
    blocks = re.findall(r"^```python\n(.*?)^```", (DOCS / page).read_text(), flags=re.DOTALL | re.MULTILINE)
    names = {"queue_manager": queue_manager, "__name__": "video.container_jobs"}
    for block in blocks:
        exec(compile(block, page, "exec"), names)  # noqa: S102 - our own page
    assert len(blocks) == count
