"""The behaviour suite of executors that tell of ends as they happen."""

from __future__ import annotations

import contextlib
import queue
import threading

import pytest

from container_manager.executors.base import Executor
from container_manager.testing.executor_contract import ExecutorContract


class EndStreamContract(ExecutorContract):
    """What every executor does, and what one with ``supports_ends`` does beyond."""

    def test_an_end_is_told_as_it_happens(self, executor: Executor) -> None:
        assert executor.supports_ends
        stream = executor.ends()
        told: queue.SimpleQueue[str] = queue.SimpleQueue()

        def listen() -> None:
            for handle in stream:
                told.put(handle.name)

        listener = threading.Thread(target=listen)
        listener.start()
        try:
            for _ in range(10):
                # The first may end before the engine listens.
                handle = self.launch(executor, self.programs.exits(0))
                with contextlib.suppress(queue.Empty):
                    while told.get(timeout=10) != handle.name:
                        pass
                    break
            else:
                pytest.fail("no end was told")
        finally:
            stream.close()
            listener.join(timeout=90)
        assert not listener.is_alive()
