"""What was aimed at, against what the results say: the table in ``bench/README.md``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.results import Result
from bench.table import number

README: Final = Path(__file__).resolve().parent / "README.md"
BEGIN, END = "<!-- targets: written by make bench -->\n", "<!-- end of targets -->\n"


@dataclass(frozen=True)
class Target:
    """``limit`` is the least, or with ``is_most`` the most, of what ``measure`` finds; ``None`` = not measured."""

    question: str
    text: str
    limit: float
    measure: Callable[[Result], float | None]
    unit: str = "x"
    is_most: bool = False


def median(result: Result, system: str, case: str, metric: str) -> float | None:
    """Of the first row whose case ends so."""
    rows = (row for row in result.rows if row.system == system and row.case.endswith(case))
    return next((row.median(metric) for row in rows), None)


def ratio(case: str, other: str, own: str = "own") -> Callable[[Result], float | None]:
    """The rate of this package, in those of ``other``."""

    def measure(result: Result) -> float | None:
        ours = median(result, own, case, "per_second")
        theirs = median(result, other, case, "per_second")
        return ours / theirs if ours is not None and theirs else None

    return measure


def plain(case: str, metric: str) -> Callable[[Result], float | None]:
    return lambda result: median(result, "own", case, metric)


def beside_a_crowd(start: str) -> Callable[[Result], float | None]:
    """The claim at the deepest backlog beside all others, in that at ten thousand ready jobs alone."""

    def measure(result: Result) -> float | None:
        few, crowd = _claim(result, start, "10,000 ready"), _claim(result, start, "another queue")
        return crowd / few if crowd is not None and few else None

    return measure


def crowded(start: str) -> Callable[[Result], float | None]:
    return lambda result: _claim(result, start, "another queue")


def _claim(result: Result, start: str, end: str) -> float | None:
    rows = (row for row in result.rows if row.case.startswith(f"{start} of ") and row.case.endswith(end))
    return next((row.median("p50") for row in rows), None)


TARGETS: Final = (
    Target("enqueue", "one by one, against procrastinate", 1, ratio("one by one", "procrastinate")),
    Target(
        "enqueue", "one by one in one transaction, against procrastinate", 1,
        ratio("one by one in one transaction", "procrastinate"),
    ),
    Target(
        "enqueue", "the same, statements prepared as procrastinate's are", 1,
        ratio("one by one in one transaction", "procrastinate", own="own_prepared"),
    ),
    Target(
        "enqueue", "`create`, then `queue_job`, against hand-written SQL", 0.5,
        ratio("create, then queue_job", "floor"),
    ),
    Target("enqueue", "in bulk, against procrastinate", 1, ratio("bulk", "procrastinate")),
    Target("backlog", "one worker, against procrastinate", 5, ratio("1 worker", "procrastinate")),
    Target(
        "backlog", "the same, statements prepared as procrastinate's are", 5,
        ratio("1 worker", "procrastinate", own="own_prepared"),
    ),
    Target("backlog", "one worker, against hand-written SQL", 0.5, ratio("1 worker", "floor")),
    Target("drain", "one worker, against django-tasks-db", 7, ratio("1 worker", "django_tasks_db")),
    Target("claim", "of 1 beside all others, median", 3, crowded("1"), "ms", is_most=True),
    Target("claim", "of 100 beside all others, median", 10, crowded("100"), "ms", is_most=True),
    Target("claim", "of 1, against 10,000 ready alone", 1.5, beside_a_crowd("1"), is_most=True),
    Target("claim", "of 100, against 10,000 ready alone", 1.5, beside_a_crowd("100"), is_most=True),
    Target("pick_up", "woken by NOTIFY, median", 20, plain("woken by NOTIFY", "p50"), "ms", is_most=True),
    Target("idle", "listening", 1, plain("listening", "statements_per_second"), "statements/s", is_most=True),
    Target("idle", "polling", 2, plain("polling", "statements_per_second"), "statements/s", is_most=True),
    *(
        Target("docker", f"{count} at once, against the SDK", 0.9, ratio(f"{count} at once", "sdk"))
        for count in (1, 4, 8)
    ),
    Target("stats", "median", 150, plain("finished", "p50"), "ms", is_most=True),
    Target("watch", "memory", 150, plain("0 running", "memory_mb"), "MB", is_most=True),
    Target("watch", "processor", 15, plain("0 running", "processor_percent"), "% of a core", is_most=True),
)  # fmt: skip


def table(results: Sequence[Result]) -> str:
    """One line for each target, from the results on PostgreSQL."""
    known = {result.question: result for result in results if result.kind == "postgres"}
    lines = ["| question | what | target | measured | | size, rounds, commit |", "|---|---|---|---|---|---|"]
    for target in TARGETS:
        result = known.get(target.question)
        value = target.measure(result) if result is not None else None
        sign = "<=" if target.is_most else ">="
        wanted = f"{sign} {number(target.limit)} {target.unit}"
        if result is None or value is None:
            lines.append(f"| {target.question} | {target.text} | {wanted} | - | not measured | |")
            continue
        rounds = max(len(row.rounds) for row in result.rows)
        where = f"[{result.size:,}, {rounds}, {result.facts['commit']}](results/README.md)"
        shown = f"{number(value)} {target.unit}"
        lines.append(
            f"| {target.question} | {target.text} | {wanted} | {shown} | {_verdict(target, value)} | {where} |"
        )
    return "\n".join(lines) + "\n"


def _verdict(target: Target, value: float) -> str:
    if value <= target.limit if target.is_most else value >= target.limit:
        return "met"
    return f"missed: {number(value / target.limit)} of it"


def write(results: Sequence[Result]) -> None:
    """The table stands in the README, between its marks."""
    before, rest = README.read_text().split(BEGIN)
    after = rest.split(END)[1]
    README.write_text(f"{before}{BEGIN}\n{table(results)}\n{END}{after}")
