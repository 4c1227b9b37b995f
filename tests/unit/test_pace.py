"""When a worker looks again: soon after work, ever later without, and never later than it may."""

from __future__ import annotations

import time

from container_manager.worker.pace import GROWTH, JITTER, QUICKEST, TOLD_GAP, Pace


def pause_after(pace: Pace, *, found: bool, longest: float = 1000.0, next_due: float | None = None) -> float:
    """The shortest that the look's pause can have been."""
    pace.looked(found=found, longest=longest, next_due=next_due)
    return pace.next_look - time.monotonic()


def test_the_first_look_is_due_at_once_and_so_is_one_that_is_hurried() -> None:
    pace = Pace()
    assert pace.is_due
    pause_after(pace, found=False)
    pace.looked(found=False, longest=1000.0, next_due=None)
    pace.hurry()
    assert pace.is_due


def test_pauses_grow_to_the_longest_and_begin_anew_with_what_is_found() -> None:
    pace = Pace()
    longest = 200 * QUICKEST
    for _ in range(100):
        assert pause_after(pace, found=False, longest=longest) <= longest
    assert (1 - JITTER) * longest - 30 <= pause_after(pace, found=False, longest=longest)
    assert pause_after(pace, found=True, longest=longest) <= QUICKEST
    assert pause_after(pace, found=False, longest=longest) <= QUICKEST * GROWTH


def test_no_pause_is_longer_than_asked_for_even_the_shortest() -> None:
    pace = Pace()
    assert pause_after(pace, found=True, longest=QUICKEST / 5) <= QUICKEST / 5


def test_what_is_due_before_the_pause_is_over_ends_it() -> None:
    pace = Pace()
    for _ in range(100):
        pause_after(pace, found=False, next_due=None)
    assert pause_after(pace, found=False, next_due=0.25) <= 0.25


def test_who_is_told_looks_soon_and_not_for_each_time_it_is_told() -> None:
    pace = Pace()
    for _ in range(100):
        pause_after(pace, found=False)
    before = time.monotonic()
    pace.looked(found=False, longest=1000.0, next_due=None)
    pace.told()
    assert before + TOLD_GAP <= pace.next_look <= time.monotonic() + TOLD_GAP
    soon = pace.next_look
    pace.told()
    assert pace.next_look == soon
