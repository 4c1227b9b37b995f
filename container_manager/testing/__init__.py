"""
For the tests of projects that use the queue, and of executors that others write.

``ContainerJobsMixin`` for Django's test cases, the fixture ``container_jobs`` for pytest: jobs run to
scripted ends, in the test's own transaction, without an engine. ``docs/cookbook/testing.md`` shows it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from container_manager.testing.jobs import ContainerJobs
    from container_manager.testing.mixin import ContainerJobsMixin
    from container_manager.testing.runs import Run

__all__ = ["ContainerJobs", "ContainerJobsMixin", "Run"]

_MODULES: Final = {"ContainerJobs": "jobs", "ContainerJobsMixin": "mixin", "Run": "runs"}


def __getattr__(name: str) -> Any:
    # Lazy (PEP 562): they import models, and pytest imports its plugins before the apps are loaded.
    if name in _MODULES:
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
