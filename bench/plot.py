"""A result as an SVG: bars of the first metric, grouped by case, the spread as a line."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot

from bench.results import FOLDER, Result

OWN, OTHER, FLOOR = "#1f6f8b", "#b8c4cc", "#e0a458"


def draw(result: Result) -> Path | None:
    """The SVG of ``result``; ``None`` when there is nothing to draw."""
    metric, heading = next(iter(result.metrics.items()))
    rows = [row for row in result.rows if row.values(metric)]
    if not rows:
        return None
    height = 0.9 + 0.32 * len(rows)
    figure, axes = pyplot.subplots(figsize=(8, height), layout="constrained")
    labels, positions = [], []
    for position, row in enumerate(rows):
        middle, values = row.median(metric) or 0.0, row.values(metric)
        color = OWN if row.system.startswith("own") else FLOOR if row.system.startswith("floor") else OTHER
        axes.barh(position, middle, color=color, height=0.7)
        axes.plot([min(values), max(values)], [position, position], color="black", linewidth=1)
        axes.annotate(f" {middle:,.3g}" if middle < 100 else f" {middle:,.0f}", (max(values), position), va="center")
        labels.append(f"{row.case} · {result.titles.get(row.system, row.system)}")
        positions.append(position)
    axes.set_yticks(positions, labels)
    axes.invert_yaxis()
    values = [value for row in rows for value in row.values(metric) if value > 0]
    if values and max(values) > 50 * min(values):
        axes.set_xscale("log")
    axes.margins(x=0.12)
    axes.set_xlabel(f"{heading} ({result.facts['database']['kind']}, commit {result.facts['commit']})")
    axes.set_title(result.title)
    axes.spines[["top", "right"]].set_visible(False)
    path = FOLDER / f"{result.stem}.svg"
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
    return path
