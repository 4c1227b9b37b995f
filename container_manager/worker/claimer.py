"""Which jobs a worker takes into its hands, as far as they are free."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from typing import Final

from container_manager import claiming, turns
from container_manager.worker.agenda import Agenda, AgendaReader
from container_manager.worker.fleet import Fleet
from container_manager.worker.host_runner import HostRunner

PATIENCE: Final = 5
"""Looks in vain at ready jobs that fit nowhere, after each of which one more of another tenant may overtake them."""

TRUSTED_SECONDS: Final = 0.1
"""So long a worker whose claims come back full claims on without another look at what else there is."""


class Claimer:
    """Jobs that wait for a limit get their places first, then ready jobs are claimed, host by host."""

    def __init__(self, fleet: Fleet, reader: AgendaReader, using: str, concurrency: int) -> None:
        self._fleet, self._reader, self._using, self._concurrency = fleet, reader, using, concurrency
        self._rounds_in_vain = 0
        self._trusted: Agenda | None = None
        self._trusted_until = 0.0

    @property
    def free(self) -> int:
        """How many more jobs fit into the hands."""
        return self._concurrency - self._fleet.in_hand

    def read_agenda(self) -> Agenda:
        """What there is to do; for ``TRUSTED_SECONDS`` the answer before, if all there was were more jobs than room."""
        now = time.monotonic()
        if self._trusted is not None and now < self._trusted_until:
            return self._trusted
        agenda = self._reader.read(self._fleet.queues, self._fleet.host_ids)
        self._trusted_until = now + min(TRUSTED_SECONDS, agenda.next_due_seconds or TRUSTED_SECONDS)
        return agenda

    def claim(self, agenda: Agenda) -> int:
        """How many jobs were claimed, by healthy hosts alone."""
        free, first = self.free, agenda
        usable = [runner for runner in self._fleet.runners if runner.monitor.is_healthy and runner.host.is_active]
        claimed = 0
        while usable and free > claimed:
            if agenda.are_jobs_waiting or agenda.are_places_left:
                turns.admit(self._using, patience=self._rounds_in_vain // PATIENCE)
                are_waiting, agenda = agenda.are_jobs_waiting, self.read_agenda()
            else:
                are_waiting = False
            count = self._claim_ready(usable, free - claimed, agenda.ready)
            claimed += count
            self._rounds_in_vain = self._rounds_in_vain + 1 if are_waiting and not count else 0
            if not (are_waiting and count):
                break
        self._trusted = first if first.is_only_ready and claimed >= free > 0 else None
        return claimed

    def _claim_ready(self, usable: Sequence[HostRunner], free: int, ready: Collection[str]) -> int:
        claimed = 0
        for runner in sorted(usable, key=lambda runner: (-runner.host.weight, len(runner.watches))):
            queues = [queue for queue in runner.host.served_queues if queue in ready]
            if free <= claimed:
                break
            for queue in claiming.queue_heads(self._using, queues) if len(queues) > 1 else queues:
                if free > claimed:
                    claimed += runner.claim(queue, free - claimed)
        return claimed
