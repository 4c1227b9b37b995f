"""Results as Markdown: ``results/README.md`` is written anew from every JSON file that is there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.results import FOLDER, Result, Row

HEAD = """# Results

Written by `make bench` from the JSON files beside it. Medians over the rounds, the lowest and the highest in
parentheses. Compare within one table only: its rows were measured in turns in one run, on one machine.
"""


def number(value: float) -> str:
    """Three figures at least, and no more decimals than that takes."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def cell(row: Row, metric: str) -> str:
    values = row.values(metric)
    if not values:
        return row.trouble.splitlines()[0][:80] if row.trouble else "-"
    median = number(row.median(metric) or 0.0)
    if len(values) == 1:
        return median
    return f"{median} ({number(min(values))}-{number(max(values))})"


def section(result: Result) -> str:
    """One question's table, with where it comes from."""
    facts, machine = result.facts, result.facts["machine"]
    database = facts["database"]
    lines = [
        f"## {result.title}: {result.kind}",
        "",
        f"`{result.command}`, {result.at}, commit {facts['commit']}, size {result.size:,}, "
        f"{max((len(row.rounds) for row in result.rows), default=0)} rounds. {machine['cores']} cores of "
        f"{machine['processor']}, {machine['memory_gib']} GiB; {database['version'].split(' on ')[0]}.",
        "",
        f"| case | system | {' | '.join(result.metrics.values())} |",
        f"|---|---|{'---|' * len(result.metrics)}",
    ]
    for row in result.rows:
        name = result.titles.get(row.system, row.system)
        lines.append(f"| {row.case} | {name} | {' | '.join(cell(row, metric) for metric in result.metrics)} |")
    lines += ["", *(f"- {note}" for note in result.notes), "", f"![{result.title}]({result.stem}.svg)", ""]
    return "\n".join(lines)


def write(results: Sequence[Result]) -> Path:
    path = FOLDER / "README.md"
    path.write_text("\n".join([HEAD, *(section(result) for result in results)]))
    return path
