"""Rules of the house that neither ruff nor import-linter can hold."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "container_manager"
MODULES = {
    str(path.relative_to(PACKAGE)): path for path in sorted(PACKAGE.rglob("*.py")) if "migrations" not in path.parts
}
LONGEST = 400
MEANINGLESS = {"utils", "util", "helpers", "common", "misc", "shared", "base_utils"}
WITHOUT_DATABASE = ("states.py", "specs.py", "exceptions.py", "retry.py", "executors/")

every_module = pytest.mark.parametrize("path", MODULES.values(), ids=MODULES)


def imported_names(path: Path) -> set[str]:
    """Every imported name with its module: ``django.db.models.Q``."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@every_module
def test_a_module_is_short_enough_to_read(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LONGEST


@every_module
def test_a_module_is_named_after_what_is_in_it(path: Path) -> None:
    assert path.stem not in MEANINGLESS


@every_module
def test_a_module_says_what_it_is(path: Path) -> None:
    source = path.read_text()
    assert not source.strip() or ast.get_docstring(ast.parse(source))


@pytest.mark.parametrize("name", [name for name in MODULES if name.startswith(WITHOUT_DATABASE)])
def test_executors_and_the_pure_modules_know_no_database(name: str) -> None:
    database = {imported for imported in imported_names(MODULES[name]) if imported.startswith("django.db")}
    assert database <= {"django.db.models.TextChoices"}


def test_the_package_can_be_imported_before_django_is_configured() -> None:
    code = "import container_manager; container_manager.__version__"
    environment = {"PYTHONPATH": str(PACKAGE.parent)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
