"""Results: what was measured, kept as JSON after every round, so that an interrupted run has something to show."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(__file__).resolve().parent / "results"


@dataclass
class Row:
    """One cell's rounds. ``trouble`` is why there are none, or fewer."""

    system: str
    case: str
    rounds: list[dict[str, float]] = field(default_factory=list)
    trouble: str = ""

    def values(self, metric: str) -> list[float]:
        return [one[metric] for one in self.rounds if metric in one]

    def median(self, metric: str) -> float | None:
        values = self.values(metric)
        return statistics.median(values) if values else None


@dataclass
class Result:
    """One question's answer on one database."""

    question: str
    title: str
    kind: str
    metrics: Mapping[str, str]
    notes: tuple[str, ...]
    size: int
    command: str
    facts: dict[str, Any]
    titles: dict[str, str]
    """How each system is shown."""
    rows: list[Row] = field(default_factory=list)
    at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    @property
    def stem(self) -> str:
        return self.question if self.kind == "postgres" else f"{self.question}-{self.kind}"

    def write(self) -> Path:
        FOLDER.mkdir(exist_ok=True)
        path = FOLDER / f"{self.stem}.json"
        summary = [
            {
                "system": row.system, "case": row.case, "trouble": row.trouble, "rounds": row.rounds,
                "median": {metric: row.median(metric) for metric in self.metrics},
            }
            for row in self.rows
        ]  # fmt: skip
        document = {**self.__dict__, "rows": summary}
        path.write_text(json.dumps(document, indent=1) + "\n")
        return path


def read_all() -> list[Result]:
    """Every result that is there, in the order of their names."""
    found = []
    for path in sorted(FOLDER.glob("*.json")):
        document = json.loads(path.read_text())
        rows = [Row(row["system"], row["case"], row["rounds"], row["trouble"]) for row in document.pop("rows")]
        found.append(Result(**document, rows=rows))
    return found
