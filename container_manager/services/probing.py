"""Whether a host's engine answers, asked now and by this process."""

from __future__ import annotations

from queue import Empty, SimpleQueue
from threading import Thread
from typing import Final

from container_manager.exceptions import ConfigurationError, ExecutorError, ExecutorUnavailableError
from container_manager.executors import executor_class
from container_manager.models import ExecutorHost, Installation
from container_manager.specs import HostHealth

PATIENCE_SECONDS: Final = 10.0


def probe(host: ExecutorHost, using: str) -> HostHealth:
    """
    What the engine of ``host``, saved or not, answers within ``PATIENCE_SECONDS``; nothing is written.

    ``ExecutorError`` or ``ConfigurationError`` says what is wrong, also when another engine than the host's answers.
    """
    installation = Installation.current(using).identifier
    answers: SimpleQueue[HostHealth | Exception] = SimpleQueue()

    def ask() -> None:
        try:
            executor = executor_class(host.executor_type)(host.options, installation=installation)
            try:
                answers.put(executor.check())
            finally:
                executor.close()
        except Exception as error:  # noqa: BLE001 - whatever a library raises is the answer
            answers.put(error)

    Thread(target=ask, name=f"probe-{host.name}", daemon=True).start()
    try:
        answer = answers.get(timeout=PATIENCE_SECONDS)
    except Empty:
        raise ExecutorUnavailableError(f"The engine did not answer within {PATIENCE_SECONDS:g} s.") from None
    if isinstance(answer, ExecutorError | ConfigurationError):
        raise answer
    if isinstance(answer, Exception):
        raise ExecutorUnavailableError(f"The engine cannot be asked: {answer}") from answer
    if host.engine_id and answer.engine_id != host.engine_id:
        raise ExecutorUnavailableError(f"Another engine answers: {answer.engine_id}, not {host.engine_id}.")
    return answer
