"""The registry of executors: a name in the settings, imported on first use, as Django does its backends."""

from __future__ import annotations

from difflib import get_close_matches

from django.utils.module_loading import import_string

from container_manager import conf
from container_manager.exceptions import ConfigurationError
from container_manager.executors.base import Executor

__all__ = ["Executor", "executor_class"]


def executor_class(executor_type: str) -> type[Executor]:
    """
    The executor registered as ``executor_type``.

    ``ConfigurationError`` when none is, with the nearest name, or when it cannot be
    imported, with the extra to install.
    """
    registered = conf.executors()
    try:
        path = registered[executor_type]
    except KeyError:
        near = get_close_matches(executor_type, registered, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(sorted(registered))}."
        raise ConfigurationError(f"There is no executor {executor_type!r}. {hint}") from None
    try:
        found = import_string(path)
    except ImportError as error:
        raise ConfigurationError(
            f"The executor {executor_type!r} ({path}) cannot be imported: {error}. "
            f"A built-in one needs its extra: pip install 'django-container-queue[{executor_type}]'."
        ) from error
    if not (isinstance(found, type) and issubclass(found, Executor)):
        raise ConfigurationError(f"The executor {executor_type!r} ({path}) is not a subclass of Executor.")
    return found
