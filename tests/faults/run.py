"""
The fault suite, and its figures: ``python -m tests.faults.run [--short] [databases] [-- pytest arguments]``.

The full run breaks things on all four engines and kills at least 100 workers over 250 jobs on each, which takes hours
for each database; ``--short`` is what CI runs. ``FAULTS_ENGINES``, and for each engine ``FAULTS_JOBS`` and
``FAULTS_KILLS``, change the size, and ``FAULTS_FLEET_JOBS`` and ``FAULTS_FLEET_KILLS`` that of the run over hosts of
four engines at once. ``TEST_WORKERS``: so many tests at once, for engines whose jobs are waited for more than they
keep the machine busy.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Final

from tests import run

FULL: Final = {
    "FAULTS_ENGINES": "process,docker,podman,kubernetes", "FAULTS_JOBS": "250", "FAULTS_KILLS": "100",
    "FAULTS_FLEET_JOBS": "200", "FAULTS_FLEET_KILLS": "50",
}  # fmt: skip
SHORT: Final = {"FAULTS_ENGINES": "process,docker", "FAULTS_JOBS": "24", "FAULTS_KILLS": "6"}
SHORT_TESTS: Final = ("tests/faults/test_kills.py", "tests/faults/test_handover.py")
COLUMNS: Final = (
    "database", "engine", "seed", "kills", "jobs", "attempts", "lost", "run twice", "stuck",
    "rescued after, median", "rescued after, maximum",
)  # fmt: skip


def main(arguments: list[str]) -> int:
    is_short = "--short" in arguments
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    databases = [name for name in arguments[:cut] if name != "--short"]
    extra = arguments[cut + 1 :] or list(SHORT_TESTS if is_short else ())
    for name, value in (SHORT if is_short else FULL).items():
        os.environ.setdefault(name, value)
    os.environ.setdefault("TEST_WORKERS", "1")  # they load the machine by themselves, and their timeouts are seconds
    with tempfile.TemporaryDirectory() as folder:
        figures = Path(folder) / "figures.jsonl"
        os.environ["FAULTS_FIGURES"] = str(figures)
        return run.main([*databases, "--", "-m", "faults", *extra], before_total=lambda: show(figures))


def show(figures: Path) -> None:
    """One line for each run of random kills, in columns."""
    if not figures.exists():
        return
    rows = [COLUMNS, *(tuple(json.loads(line)[name] for name in COLUMNS) for line in figures.read_text().splitlines())]
    widths = [max(len(str(row[number])) for row in rows) for number in range(len(COLUMNS))]
    print()
    for row in rows:
        print("  ".join(str(value).ljust(width) for value, width in zip(row, widths, strict=True)).rstrip())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
