"""Input files whose job never was: the caller's transaction rolled back after they were copied."""

from __future__ import annotations

import logging
import threading
import time
from datetime import timedelta
from functools import partial
from typing import Final

from django.core.files.storage import storages
from django.utils import timezone

from container_manager import registry
from container_manager.definitions.files import InputFile, inputs_folder
from container_manager.models import JobFile
from container_manager.models.file import delete_contents
from container_manager.worker.calls import Calls

logger = logging.getLogger(__name__)

GRACE: Final = timedelta(days=1)
"""How old its folder is at least: no transaction takes so long, nor does a job that was built wait so to be saved."""
PAUSE_SECONDS: Final = 3_600.0
"""Between two looks when nothing was found, or a storage did not answer."""

Day = tuple[str, str]
"""A storage's alias, and a folder that holds what was copied on one day."""


class StrayInputs:
    """
    Deletes what this installation copied for jobs that no row knows, once a day is old enough. Safe with any number.

    A day that was looked through is not looked at again: nothing more comes into it. A storage that cannot
    list its files keeps them.
    """

    def __init__(self, installation: str, using: str) -> None:
        self._installation, self._using = installation, using
        self._calls = Calls("stray-inputs", 1, threading.Event())
        self._is_busy = False
        self._next = 0.0
        self._done: set[Day] = set()

    def tick(self) -> None:
        """What the storages have answered is dealt with, and the next question put. Never waits for them."""
        self._calls.deliver()
        if not self._is_busy and time.monotonic() >= self._next:
            self._is_busy = True
            self._calls.submit(self._on_listed, self._list, sorted(_aliases()))

    def close(self) -> None:
        self._calls.close()

    def _list(self, aliases: list[str]) -> tuple[Day, list[str]] | None:
        """An old day that was not looked through, and the folders in it, one for each copy."""
        last = (timezone.now() - GRACE).strftime("%Y%m%d")
        root = inputs_folder(self._installation)
        for alias in aliases:
            for name in _folders(alias, root):
                day = (alias, f"{root}/{name}")
                if name < last and day not in self._done:
                    return day, _folders(*day)
        return None

    def _on_listed(self, found: tuple[Day, list[str]] | None, error: Exception | None) -> None:
        self._is_busy = False
        if error is not None:
            logger.warning("stray inputs were not looked for: %s: %s", type(error).__name__, error)
        if found is None:
            self._next = time.monotonic() + PAUSE_SECONDS
            return
        day, folders = found
        alias, path = day
        known = JobFile.objects.using(self._using).filter(storage=alias, stored_name__startswith=f"{path}/")
        owned = {
            name.removeprefix(f"{path}/").partition("/")[0] for name in known.values_list("stored_name", flat=True)
        }
        strays = [f"{path}/{folder}" for folder in folders if folder not in owned]
        if not strays:
            self._done.add(day)
            return
        self._is_busy = True
        self._calls.submit(partial(self._on_deleted, day), _delete, alias, strays)

    def _on_deleted(self, day: Day, count: int | None, error: Exception | None) -> None:
        self._is_busy = False
        # What could not be deleted is tried again by the next worker, not by this one for ever.
        self._done.add(day)
        if error is not None:
            logger.warning("stray inputs were not deleted: %s: %s", type(error).__name__, error)
        elif count:
            logger.info("%s input files of jobs that were never queued are deleted", count)


def _aliases() -> set[str]:
    """The storages to which the project's definitions copy inputs."""
    fields = (field for definition in registry.all_definitions().values() for field in definition.fields.values())
    return {field.storage for field in fields if isinstance(field, InputFile)}


def _folders(alias: str, path: str) -> list[str]:
    try:
        return sorted(storages[alias].listdir(path)[0])
    except (FileNotFoundError, NotImplementedError):
        return []


def _delete(alias: str, folders: list[str]) -> int:
    names = [f"{folder}/{name}" for folder in folders for name in storages[alias].listdir(folder)[1]]
    return len(names) - len(delete_contents({alias: names}))
