"""
The suite, once per database: ``python -m tests.run [sqlite postgres mariadb] [-- pytest arguments]``.

The last line adds up: ``N passed, N failed, N skipped``. Tests without a database (``ONCE``) run
with SQLite only. A database that does not answer counts all its tests as skipped; with CI=true, as failed.

With CI=true, where real engines, browsers and databases share two processors, up to ``FEW`` tests that failed run once
more, one at a time. Those that pass then are listed as unsteady: each is a defect to look for, and no reason to stop.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

from tests import databases, services

ROOT: Final = Path(__file__).resolve().parent.parent
ONCE: Final = ("tests/unit", "tests/executors", "tests/browser", "tests/fuzz")
FEW: Final = 6
NO_TESTS_SELECTED: Final = 5
"""pytest's exit status when nothing was left to run."""


@dataclass(frozen=True)
class Tally:
    """What came of the tests on one database, or on all."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped)

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def pytest_command(database: str, arguments: list[str]) -> list[str]:
    once = [] if database == "sqlite" else [f"--ignore={folder}" for folder in ONCE]
    return [sys.executable, "-m", "pytest", *once, *arguments]


def run(database: str, arguments: list[str]) -> Tally:
    """Run the suite on ``database`` and count, from pytest's own report."""
    workers = os.environ.get("TEST_WORKERS", str(min(os.cpu_count() or 1, 4)))
    parallel = ["-n", workers, "--dist", "loadgroup"] if int(workers) > 1 else []
    with tempfile.TemporaryDirectory() as folder:
        first = run_pytest(database, Path(folder), [*parallel, "-q", "-rs", *arguments])
        if not (services.is_ci() and 0 < first.failed <= FEW):
            return first
        print(f"\n== {database}: what failed, once more and alone", flush=True)
        again = run_pytest(database, Path(folder), ["-q", "-rA", "--last-failed", *arguments])
    print(f"{database}: {again.passed} unsteady, {again.failed} failed twice", flush=True)
    return Tally(first.passed + again.passed, again.failed, first.skipped)


def run_pytest(database: str, folder: Path, arguments: list[str]) -> Tally:
    """One run of pytest; ``folder`` holds its report and what it remembers for the next one."""
    report = folder / "report.xml"
    report.unlink(missing_ok=True)
    command = pytest_command(database, ["-o", f"cache_dir={folder / 'cache'}", f"--junit-xml={report}", *arguments])
    environment = {**os.environ, "TEST_DATABASE": database}
    status = subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
    tally = read_report(report) if report.exists() else Tally()
    if status == 0 or (status == NO_TESTS_SELECTED and arguments):
        return tally
    return tally if tally.failed else tally + Tally(failed=1)  # pytest itself ended badly


def read_report(report: Path) -> Tally:
    suites = ElementTree.parse(report).getroot().iter("testsuite")  # noqa: S314 - written by pytest a moment ago
    total = Tally()
    for suite in suites:
        tests, failed, errors, skipped = (int(suite.get(key, 0)) for key in ("tests", "failures", "errors", "skipped"))
        total += Tally(passed=tests - failed - errors - skipped, failed=failed + errors, skipped=skipped)
    return total


def absent(database: str, arguments: list[str]) -> Tally:
    """All the tests that ``database`` would have run, as skipped, or as failed with CI=true."""
    command = pytest_command(database, ["--collect-only", "-q", *arguments])
    environment = {**os.environ, "TEST_DATABASE": "sqlite"}
    listing = subprocess.run(command, cwd=ROOT, env=environment, check=False, capture_output=True, text=True).stdout
    found = re.search(r"^(\d+)(?:/\d+)? tests? (?:collected|found)", listing, re.MULTILINE)
    count = max(int(found[1]) if found else 0, 1)
    return Tally(failed=count) if services.is_ci() else Tally(skipped=count)


def main(arguments: list[str], *, before_total: Callable[[], None] | None = None) -> int:
    """Run the suite on the databases named before ``--``, or on all; ``before_total`` prints what belongs before it."""
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    chosen, extra = arguments[:cut] or list(databases.NAMES), arguments[cut + 1 :]
    if unknown := set(chosen) - set(databases.NAMES):
        sys.exit(f"unknown database {', '.join(sorted(unknown))}; known: {', '.join(databases.NAMES)}")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    warnings.filterwarnings("ignore", message="Accessing the database during app initialization")

    lines, total = [], Tally()
    for database in chosen:
        cause = services.absence(database)
        print(f"\n== {database}{f': {cause}' if cause else ''}", flush=True)
        tally = absent(database, extra) if cause else run(database, extra)
        lines.append(f"{database}: {tally}" + (f" (no answer: {cause})" if cause else ""))
        total += tally
    if before_total is not None:
        before_total()
    print("", *lines, total, sep="\n", flush=True)
    return 1 if total.failed or total == Tally() else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
