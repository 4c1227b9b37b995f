"""Looking for executions that no open attempt accounts for, and removing them, by hand."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.core.management.base import BaseCommand

from container_manager import hosts
from container_manager.describing import short_id
from container_manager.exceptions import ConfigurationError, ExecutorError
from container_manager.executors import Executor
from container_manager.management.rendering import note
from container_manager.models import ExecutorHost
from container_manager.services import executor_for
from container_manager.specs import ExecutionState, Observation
from container_manager.worker.sweep import STOP_GRACE_SECONDS, orphans, remove_orphan

LOOK_SECONDS: Final = 0.2


@dataclass(slots=True)
class Orphan:
    host: ExecutorHost
    executor: Executor
    seen: Observation
    state: str


class OrphanHunt:
    """Orphans of this installation on the hosts that this node reaches. ``has_failed``: not everything was done."""

    def __init__(self, command: BaseCommand, installation: str, using: str) -> None:
        self._command, self._installation, self._using = command, installation, using
        self.has_failed = False

    def look(self) -> list[Orphan]:
        """Those there are now; a host that does not answer is named on standard error."""
        return [orphan for host in hosts.reachable_hosts(self._using, hosts.node_name()) for orphan in self._on(host)]

    def remove(self, found: Sequence[Orphan], grace_seconds: float) -> list[Orphan]:
        """Those of ``found`` that are orphans still after ``grace_seconds`` are ended and removed, and returned."""
        if grace_seconds:
            note(self._command, f"{len(found)} found; those that are orphans still in {grace_seconds:g} s are removed.")
            time.sleep(grace_seconds)
            known = {orphan.seen.handle.name for orphan in found}
            found = [orphan for orphan in self.look() if orphan.seen.handle.name in known]
        for orphan in found:
            try:
                self._remove(orphan)
            except ExecutorError as error:
                self._fail(f"{orphan.host.name}: {orphan.seen.handle.name}: {error}")
        return list(found)

    @staticmethod
    def rows(found: Sequence[Orphan]) -> list[tuple[Any, ...]]:
        """Host, execution, job, attempt, state."""
        return [
            (o.host.name, o.seen.handle.name, short_id(o.seen.job_id), o.seen.attempt, o.state) for o in found
        ]  # fmt: skip

    def _on(self, host: ExecutorHost) -> Iterator[Orphan]:
        try:
            executor = executor_for(host, self._installation)
            seen = executor.observe()
        except (ConfigurationError, ExecutorError) as error:
            self._fail(f"{host.name}: {error}")
            return
        for orphan in orphans(seen, self._using):
            yield Orphan(host, executor, orphan, orphan.state.value)

    def _remove(self, orphan: Orphan) -> None:
        remove_orphan(orphan.executor, orphan.seen)
        deadline = time.monotonic() + STOP_GRACE_SECONDS + 5
        while orphan.seen.state is ExecutionState.RUNNING:
            now = orphan.executor.observe([orphan.seen.handle])
            if not now:
                break
            orphan.seen = now[0]
            if orphan.seen.state is not ExecutionState.RUNNING:
                remove_orphan(orphan.executor, orphan.seen)
            elif time.monotonic() > deadline:
                self._fail(f"{orphan.host.name}: {orphan.seen.handle.name} was told to stop, and has not yet.")
                return
            else:
                time.sleep(LOOK_SECONDS)
        orphan.state = "removed"

    def _fail(self, message: str) -> None:
        self.has_failed = True
        self._command.stderr.write(message)
