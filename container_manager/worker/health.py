"""Whether a host's engine can be used: its identity, and a circuit breaker kept in its row."""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from functools import partial
from typing import Final

from django.db.models import F

from container_manager import conf
from container_manager.exceptions import ConfigurationError, ExecutorUnavailableError
from container_manager.executors import Executor
from container_manager.models import ExecutorHost
from container_manager.specs import HostHealth
from container_manager.sql.clock import DatabaseNow
from container_manager.worker.calls import Calls

logger = logging.getLogger(__name__)

CHECK_INTERVAL: Final = 60.0
FIRST_RETRY, LONGEST_RETRY = 2.0, 60.0


class HostMonitor:
    """
    Knows whether the engine answered last time it was asked, and that it is still the same engine.

    Down: no claims until ``retry_at``, which every worker reads; running jobs are left alone.
    """

    def __init__(self, host: ExecutorHost, executor: Executor, calls: Calls, using: str) -> None:
        self.host, self._executor, self._calls, self._using = host, executor, calls, using
        self.is_known = False
        self.error = ""
        self.verified_at = 0.0
        """When the last question that the host's own engine answered well was asked, by the monotonic clock."""
        self._failures = 0
        self._next_check = 0.0
        self._is_checking = False

    @property
    def is_down(self) -> bool:
        return bool(self.error)

    @property
    def is_healthy(self) -> bool:
        """The engine answered, and is the host's own."""
        return self.is_known and not self.error

    def tick(self) -> None:
        """A check is under way where one is due."""
        now = time.monotonic()
        if not self._is_checking and now >= self._next_check:
            self._is_checking = True
            self._calls.submit(partial(self._on_checked, now), self._executor.check)

    def verify(self) -> None:
        """Whether it is still the host's own engine is asked soon."""
        if not self.error:
            self._next_check = 0.0

    def note(self, error: Exception | None) -> None:
        """A call failed; one that says that the engine is away opens the circuit."""
        if isinstance(error, ExecutorUnavailableError) and not self.error:
            self._fail(str(error))

    def _on_checked(self, asked: float, health: HostHealth | None, error: Exception | None) -> None:
        self._is_checking = False
        if health is None:
            if not isinstance(error, ExecutorUnavailableError | ConfigurationError):
                logger.error("unforeseen error from %s", self.host, exc_info=error, extra={"host": self.host.name})
            self._fail(str(error))
        elif self.host.engine_id and health.engine_id != self.host.engine_id:
            self._fail(
                f"Another engine answers at this host's address: {health.engine_id}, not {self.host.engine_id}. "
                "Its jobs are left alone. If the change is meant, clear the host's engine_id."
            )
        else:
            self._recover(health, asked)

    def _fail(self, error: str) -> None:
        self._failures += 1
        pause = min(LONGEST_RETRY, FIRST_RETRY * 2 ** min(self._failures - 1, 10))
        self._next_check = time.monotonic() + pause
        if error != self.error:
            logger.warning("host %s is down: %s", self.host, error, extra={"host": self.host.name})
        self.error = error
        self._write(
            failures=self._failures, error_count=F("error_count") + 1, health_error=error[:2000],
            checked_at=DatabaseNow(),
            retry_at=DatabaseNow() + timedelta(seconds=pause),
        )  # fmt: skip

    def _recover(self, health: HostHealth, asked: float) -> None:
        # The row first: what the database did not take is written at the next check.
        if self.is_healthy and self.host.engine_id == health.engine_id:
            self._write(served_at=DatabaseNow())
        else:
            self._write(
                failures=0, health_error="", retry_at=None, checked_at=DatabaseNow(), served_at=DatabaseNow(),
                engine_id=health.engine_id, engine_version=health.version[:100],
            )  # fmt: skip
            if self.error:
                logger.info("host %s is back", self.host, extra={"host": self.host.name})
        self._failures, self.error, self.is_known = 0, "", True
        self.host.engine_id = health.engine_id
        self.verified_at = asked
        # Often enough that a host in use never looks out of reach.
        self._next_check = time.monotonic() + min(CHECK_INTERVAL, float(conf.get("HOST_TIMEOUT")) / 3)

    def _write(self, **values: object) -> None:
        ExecutorHost.objects.using(self._using).filter(pk=self.host.pk).update(**values)
