"""What is known of the cluster's objects, from its watches, its answers and this process' own writes."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from typing import Final, Generic, Protocol, TypeVar

REMEMBERED: Final = 10_000
"""So many own deletions, which the watch may still contradict for a moment."""


class Facts(Protocol):
    @property
    def uid(self) -> str: ...
    @property
    def version(self) -> str: ...


Kept = TypeVar("Kept", bound=Facts)


class Store(Generic[Kept]):
    """
    Facts by uid, and by ``group``. What is newer wins; what this process deleted does not come back.

    ``remains``: what is kept of an object that others deleted; ``None`` = nothing.
    """

    def __init__(self, *, group: Callable[[Kept], str], remains: Callable[[Kept], Kept | None]) -> None:
        self._group, self._remains = group, remains
        self._lock = threading.RLock()
        self._kept: dict[str, Kept] = {}
        self._groups: defaultdict[str, set[str]] = defaultdict(set)
        self._forgotten: dict[str, None] = {}

    def all(self) -> list[Kept]:
        with self._lock:
            return list(self._kept.values())

    def of(self, group: str) -> list[Kept]:
        with self._lock:
            return [self._kept[uid] for uid in self._groups.get(group, ())]

    def has(self, uid: str) -> bool:
        return uid in self._kept

    def keep(self, facts: Kept) -> None:
        """The object is so, unless something newer is known."""
        with self._lock:
            known = self._kept.get(facts.uid)
            if facts.uid not in self._forgotten and (known is None or not _is_newer(known.version, facts.version)):
                self._kept[facts.uid] = facts
                self._groups[self._group(facts)].add(facts.uid)

    def strike(self, facts: Kept) -> None:
        """The object, last seen so, is gone from the cluster."""
        with self._lock:
            remains = None if self._forgotten.pop(facts.uid, self) is None else self._remains(facts)
            if remains is None:
                self.drop(facts.uid)
            else:
                self._kept[facts.uid] = remains
                self._groups[self._group(remains)].add(remains.uid)

    def replace(self, listed: Collection[Kept], version: str) -> None:
        """At ``version`` of the whole there were only ``listed``."""
        with self._lock:
            # What is newer than the list is this process' own write.
            self._strike_all_but(listed, [old for old in self._kept.values() if not _is_newer(old.version, version)])

    def renew(self, groups: Iterable[str], listed: Collection[Kept]) -> None:
        """Of ``groups`` there are now only ``listed``."""
        with self._lock:
            self._strike_all_but(listed, [old for group in groups for old in self.of(group)])

    def forget(self, uid: str) -> None:
        """This process deleted the object, whatever the watch still tells of it."""
        with self._lock:
            self.drop(uid)
            self._forgotten[uid] = None
            while len(self._forgotten) > REMEMBERED:
                self._forgotten.pop(next(iter(self._forgotten)))

    def drop(self, uid: str) -> None:
        """What is known of the object is of no more use."""
        with self._lock:
            old = self._kept.pop(uid, None)
            if old is not None:
                group = self._groups[self._group(old)]
                group.discard(uid)
                if not group:
                    del self._groups[self._group(old)]

    def shrink(self, size: int) -> None:
        """At most ``size`` are known, the latest."""
        with self._lock:
            while len(self._kept) > size:
                self.drop(next(iter(self._kept)))

    def _strike_all_but(self, listed: Iterable[Kept], known: Iterable[Kept]) -> None:
        listed = list(listed)
        present = {facts.uid for facts in listed}
        for old in known:
            if old.uid not in present:
                self.strike(old)
        for facts in listed:
            self.keep(facts)


def _is_newer(one: str, other: str) -> bool:
    """Versions are numbers that grow."""
    return one.isdecimal() and other.isdecimal() and int(one) > int(other)
