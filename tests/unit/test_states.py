"""The one table of transitions, pair by pair."""

from __future__ import annotations

from itertools import product

import pytest

from container_manager.lifecycle import check_move
from container_manager.states import ACTIVE, TERMINAL, TRANSITIONS, Status, sources_of

EDGES = {
    ("pending", "queued"), ("pending", "cancelled"),
    ("queued", "pending"), ("queued", "launching"), ("queued", "failed"), ("queued", "cancelled"),
    ("launching", "queued"), ("launching", "running"), ("launching", "failed"), ("launching", "cancelled"),
    ("running", "queued"), ("running", "completed"), ("running", "failed"), ("running", "cancelled"),
    ("failed", "pending"), ("failed", "queued"),
}  # fmt: skip


@pytest.mark.parametrize(("source", "target"), list(product(Status, Status)))
def test_exactly_the_edges_of_the_design_exist(source: Status, target: Status) -> None:
    assert check_move(source, target) == ((source.value, target.value) in EDGES)
    assert (source in sources_of(target)) == check_move(source, target)


def test_what_is_terminal_leads_nowhere_but_a_failure_back_to_the_queue() -> None:
    assert {status for status in Status if not TRANSITIONS[status]} == TERMINAL - {Status.FAILED}
    assert not ACTIVE & TERMINAL
