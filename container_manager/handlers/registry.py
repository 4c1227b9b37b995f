"""Which handler is told of what, by the code of the project."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from django.utils.module_loading import import_string

from container_manager.exceptions import ConfigurationError
from container_manager.states import Verb

Function = TypeVar("Function", bound=Callable[..., Any])

FINISHED: Final = ("completed", "failed", "cancelled")
EVENTS: Final[dict[Verb, str]] = {
    Verb.QUEUE: "queued",
    Verb.START: "started",
    Verb.COMPLETE: "completed",
    Verb.FAIL: "failed",
    Verb.CANCEL: "cancelled",
    Verb.RETRY: "retried",
}
"""What can be handled; ``finished`` stands for the three ends."""


UNSERVED: Final = "unserved"
"""The event of a queue: jobs wait in it, and no live worker serves it."""
BATCH_COMPLETED: Final = "batch_completed"
"""The event of a batch, told to the function that it names."""


@dataclass(frozen=True, slots=True)
class Rule:
    """``handler`` is told of ``event``; of jobs of one queue or definition only, where those are not empty."""

    handler: str
    event: str
    queue: str = ""
    definition: str = ""

    def matches(self, queue: str, definition: str) -> bool:
        return self.queue in ("", queue) and self.definition in ("", definition)


_functions: dict[str, Callable[..., object]] = {}
_rules: dict[str, list[Rule]] = {}


def on_job(*events: str, definition: type | str = "", queue: str = "") -> Callable[[Function], Function]:
    """
    The decorated function is called with the job after each of ``events``, in a worker, at least once.

    ``events``: ``queued``, ``started``, ``completed``, ``failed``, ``cancelled``, ``retried``, or ``finished``
    for any end. ``definition``, a class or its name, and ``queue`` narrow the jobs. The call is
    recorded in the transaction of the event: it is lost only with it. A call that raises is tried
    again with growing pauses, so the function must bear being called twice. ``ConfigurationError``
    for an unknown event, and for a function that a worker could not find again by its name.
    """
    wanted = _known_events(events)
    name_of_definition = definition if isinstance(definition, str) else _definition_name(definition)

    def register(function: Function) -> Function:
        for event in wanted:
            _add(function, event, queue=queue, definition=name_of_definition)
        return function

    return register


def on_queue_unserved(function: Function) -> Function:
    """
    The decorated function is called with a queue's name when its jobs wait for a worker that never comes.

    Once a day for each queue, as durably as ``on_job``: some job has been ready for five minutes,
    and no live worker has an active host that serves its queue.
    """
    _add(function, UNSERVED)
    return function


def _add(function: Callable[..., object], event: str, *, queue: str = "", definition: str = "") -> None:
    name = dotted_name(function)
    _functions[name] = function
    rule = Rule(name, event, queue=queue, definition=definition)
    known = _rules.setdefault(event, [])
    if rule not in known:
        known.append(rule)


def rules_for(event: str) -> Iterable[Rule]:
    return _rules.get(event, ())


def function_named(name: str) -> Callable[..., object] | None:
    """The function of that dotted name; ``None`` = no module has it any more."""
    if name in _functions:
        return _functions[name]
    try:
        return import_string(name)  # type: ignore[no-any-return]
    except ImportError:
        return None


def _known_events(events: Iterable[str]) -> list[str]:
    wanted = [name for event in events for name in (FINISHED if event == "finished" else (event,))]
    unknown = [event for event in wanted if event not in EVENTS.values()]
    if unknown or not wanted:
        known = ", ".join([*EVENTS.values(), "finished"])
        raise ConfigurationError(f"on_job knows no event {', '.join(map(repr, unknown)) or 'by no name'}; use {known}.")
    return wanted


def _definition_name(definition: type) -> str:
    return str(getattr(definition, "name", "") or definition.__name__)


def dotted_name(function: Callable[..., Any]) -> str:
    """The name by which a worker finds ``function``; ``ConfigurationError`` where there is none."""
    name = f"{function.__module__}.{function.__qualname__}"
    if "<" in name:
        raise ConfigurationError(
            f"{name} cannot be found again by its name: a handler is a function of a module, not one inside another."
        )
    if len(name) > 200:
        raise ConfigurationError(f"The name {name} is too long for a handler: 200 characters at most.")
    known = _functions.get(name)
    if known is not None and getattr(known, "__code__", None) != getattr(function, "__code__", None):
        raise ConfigurationError(f"There are two handlers {name}; give one another name.")
    return name
