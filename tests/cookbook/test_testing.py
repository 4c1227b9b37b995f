"""The page about tests is a project whose tests pass, with pytest and with Django's own runner."""

from __future__ import annotations

import re
from pathlib import Path

from tests.projects import ROOT, run_in_project

PAGE = ROOT / "docs" / "cookbook" / "testing.md"


def project() -> dict[str, str]:
    """The page's blocks by the paths in their first lines."""
    blocks = re.findall(r"```python\n(# (\S+\.py)\n.*?)```", PAGE.read_text(), flags=re.DOTALL)
    return {"clips/__init__.py": "", **{path: block for block, path in blocks}}


def test_the_tests_of_the_page_pass_with_pytest(tmp_path: Path) -> None:
    command = ("pytest", "-q", "-p", "container_manager.testing.plugin", "clips/tests.py", "clips/test_failures.py")
    assert "3 passed" in run_in_project(tmp_path, project(), *command, apps=("clips",))


def test_the_test_case_of_the_page_passes_with_djangos_runner(tmp_path: Path) -> None:
    said = run_in_project(tmp_path, project(), "django", "test", "clips.tests", apps=("clips",))
    assert "Ran 1 test" in said
