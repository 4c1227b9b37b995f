"""A durable queue of container jobs kept in the Django database."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from container_manager.queue import queue_manager

__all__ = ["queue_manager"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # Lazy (PEP 562): the queue imports models, and the package is imported before the apps are loaded.
    if name == "queue_manager":
        from container_manager.queue import queue_manager  # noqa: PLC0415

        return queue_manager
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
