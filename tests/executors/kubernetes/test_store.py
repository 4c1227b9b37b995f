"""What is known of the cluster: the newest word wins, and what was deleted here does not come back."""

from __future__ import annotations

from dataclasses import dataclass, replace

from container_manager.executors.kubernetes.store import Store


@dataclass(frozen=True)
class Thing:
    uid: str
    version: str = "1"
    owner: str = "me"
    is_gone: bool = False


def store(*things: Thing, keeps_remains: bool = False) -> Store[Thing]:
    made: Store[Thing] = Store(
        group=lambda thing: thing.owner,
        remains=lambda thing: replace(thing, is_gone=True) if keeps_remains else None,
    )
    for thing in things:
        made.keep(thing)
    return made


def test_an_older_word_never_hides_a_newer_one() -> None:
    things = store(Thing("a", "9"))
    things.keep(Thing("a", "10"))
    things.keep(Thing("a", "9"))
    assert [thing.version for thing in things.all()] == ["10"]


def test_what_this_process_deleted_does_not_come_back_with_a_late_event() -> None:
    things = store(Thing("a"))
    things.forget("a")
    things.keep(Thing("a", "2"))
    assert things.all() == []
    assert things.of("me") == []
    things.strike(Thing("a", "3"))
    assert things.all() == []


def test_a_new_list_strikes_what_is_not_on_it_but_not_what_was_written_since() -> None:
    things = store(Thing("old", "3"), Thing("own", "12"))
    things.replace([Thing("listed", "5")], "10")
    assert {thing.uid for thing in things.all()} == {"own", "listed"}


def test_remains_of_a_deleted_object_stay_until_they_are_dropped() -> None:
    things = store(Thing("a"), keeps_remains=True)
    things.strike(Thing("a", "2"))
    assert things.of("me") == [Thing("a", "2", is_gone=True)]
    things.drop("a")
    assert things.of("me") == []


def test_renewing_a_group_leaves_the_others_alone() -> None:
    things = store(Thing("a"), Thing("b", owner="you"))
    things.renew(["me"], [Thing("c")])
    assert {thing.uid for thing in things.all()} == {"b", "c"}


def test_at_most_the_latest_are_kept_when_it_shrinks() -> None:
    things = store(*(Thing(str(number)) for number in range(5)))
    things.shrink(2)
    assert [thing.uid for thing in things.all()] == ["3", "4"]
