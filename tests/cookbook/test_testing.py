"""The page about tests is a project whose tests pass, with pytest and with Django's own runner."""

from __future__ import annotations

from pathlib import Path

from tests.cookbook.pages import blocks_of
from tests.projects import run_in_project


def project() -> dict[str, str]:
    """The page's blocks by the paths in their first lines."""
    blocks = {block.partition("\n")[0].removeprefix("# "): block for block in blocks_of("testing.md")}
    return {"clips/__init__.py": "", **blocks}


def test_the_tests_of_the_page_pass_with_pytest(tmp_path: Path) -> None:
    command = ("pytest", "-q", "-p", "container_manager.testing.plugin", "clips/tests.py", "clips/test_failures.py")
    assert "3 passed" in run_in_project(tmp_path, project(), *command, apps=("clips",))


def test_the_test_case_of_the_page_passes_with_djangos_runner(tmp_path: Path) -> None:
    said = run_in_project(tmp_path, project(), "django", "test", "clips.tests", apps=("clips",))
    assert "Ran 1 test" in said
