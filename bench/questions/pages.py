"""How long the admin's pages take the server beside very many jobs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from bench.child import call
from bench.questions.question import Cell, Options, Question, Values
from bench.reading import SYSTEM, filled

PAGES = ("dashboard", "list", "list, queued", "list, completed", "list, completed, deep", "list, searched", "job")
CALLS = 20


def measure(name: str, which: str, options: Options) -> Values:
    return call(SYSTEM, "page", kind=options.kind, name=name, timeout=options.limit, which=which, count=CALLS)


@contextmanager
def cells(options: Options) -> Iterator[list[Cell]]:
    queued = options.size // 10
    with filled(options.kind, "pages", queued=queued, finished=options.size - queued) as name:
        yield [Cell("own", which, partial(measure, name, which, options)) for which in PAGES]


QUESTION = Question(
    name="pages",
    title="The admin's pages",
    metrics={"p50": "ms, median", "p99": "ms, the slowest of 20", "kilobytes": "kB"},
    bound="10 minutes on PostgreSQL, 5 each on the others",
    size=1_000_000,
    quick=50_000,
    size_elsewhere=100_000,
    rounds=3,
    cells=cells,
    kinds=("postgres", "mariadb", "sqlite"),
    notes=("Through Django's test client: all that the server does, nothing of a network or a browser. One in ten "
           "jobs is queued, the others have finished.",),
)  # fmt: skip
