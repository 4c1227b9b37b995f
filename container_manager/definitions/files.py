"""Files as parameters: what a job is given, and what it leaves behind."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from django import forms
from django.conf import settings
from django.core.exceptions import SuspiciousFileOperation, ValidationError
from django.core.files import File
from django.core.files.storage import InvalidStorageError, Storage, storages
from django.db.models.fields.files import FieldFile
from django.utils import timezone
from django.utils.text import get_valid_filename
from uuid_utils.compat import uuid7

from container_manager.models import ContainerJob, Installation
from container_manager.models.file import OWN_FOLDER
from container_manager.models.job_queryset import JobQuerySet

LONGEST_NAME: Final = 255
RESERVED_OUTPUT: Final = "result.json"


@dataclass(frozen=True, slots=True)
class StoredInput:
    """A file that is in a storage already: the job refers to it, and never deletes it."""

    storage: str
    name: str


class InputFile(forms.FileField):
    """
    A parameter that is a file: ``{video}`` in the command is its path in the container.

    Takes a ``FieldFile`` or ``(storage alias, name)``, which the job refers to, so keep it until the
    job has ended; or any ``File``, or the path of a local file, which are copied to ``storage``, an alias of
    ``STORAGES``, when the job is queued, and deleted with the job. A form takes uploads only.
    """

    def __init__(self, *, storage: str = "default", **options: Any) -> None:
        super().__init__(**options)
        self.storage = storage

    def clean(self, data: Any, initial: Any = None) -> StoredInput | File[Any] | Path | None:
        """The file, known to be there. ``ValidationError`` says what is wrong with it."""
        if data in self.empty_values:
            data = initial
        if data in self.empty_values:
            self.validate(None)
            return None
        found = _as_input(data)
        if isinstance(found, StoredInput):
            _check_stored(found)
        elif isinstance(found, File):
            self.to_python(found)
        return found

    def prepare_value(self, value: Any) -> Any:
        return {"storage": value.storage, "name": value.name} if isinstance(value, StoredInput) else None

    def store(self, found: StoredInput | File[Any] | Path) -> StoredInput:
        """``found`` in a storage: where it is, or as a copy under a name of its own."""
        if isinstance(found, StoredInput):
            return found
        folder = inputs_folder(Installation.current(JobQuerySet(ContainerJob).write_alias).identifier)
        target = f"{folder}/{timezone.now():%Y%m%d}/{uuid7().hex}/{file_name(found)}"
        if isinstance(found, Path):
            with found.open("rb") as file:
                return StoredInput(self.storage, storages[self.storage].save(target, File(file)))
        return StoredInput(self.storage, storages[self.storage].save(target, found))


class OutputFile:
    """
    A file that a job leaves in its output folder: ``{clip}`` in the command is its path in the container.

    Kept in ``storage``, an alias of ``STORAGES``, as ``job.files["clip"]``. When it is ``required`` and
    missing after exit code 0, the job has FAILED with the outcome ``output_error``.
    """

    def __init__(self, path: str, *, required: bool = True, storage: str = "default") -> None:
        self.path, self.required, self.storage = path, required, storage

    def problems(self) -> Iterator[str]:
        """What is wrong with its path."""
        path = PurePosixPath(self.path)
        if path.is_absolute() or ".." in path.parts or str(path) != self.path or len(self.path) > LONGEST_NAME:
            yield f"OutputFile({self.path!r}): give a path within the output folder, such as 'clip.mp4'."
        if self.path == RESERVED_OUTPUT:
            yield f"OutputFile({self.path!r}): that one is job.result, without being declared."


def inputs_folder(installation: str) -> str:
    """Where copies of inputs are in each storage: a folder for each day, and in that one for each copy."""
    return f"{OWN_FOLDER}inputs/{installation}"


def input_plan(name: str, stored: StoredInput) -> dict[str, str]:
    """What the row says of an input: where it is, and its path in the input folder."""
    return {"storage": stored.storage, "name": stored.name, "path": f"{name}/{file_name(stored)}"}


def output_plan(output: OutputFile) -> dict[str, Any]:
    return {"storage": output.storage, "path": output.path, "required": output.required}


def file_name(found: StoredInput | File[Any] | Path) -> str:
    """The last part of its name, as any storage and any file system take it."""
    last = PurePosixPath(str(found.name or "").replace("\\", "/")).name
    try:
        return get_valid_filename(last)[-LONGEST_NAME:]
    except SuspiciousFileOperation:
        return "file"


def _as_input(data: Any) -> StoredInput | File[Any] | Path:
    if isinstance(data, StoredInput):
        return data
    if isinstance(data, FieldFile):
        return StoredInput(_alias_of(data.storage), str(data.name))
    if isinstance(data, File):
        return data
    if isinstance(data, str | os.PathLike):
        return _local(Path(data))
    pair = (data.get("storage"), data.get("name")) if isinstance(data, Mapping) else data
    if isinstance(pair, tuple | list) and len(pair) == 2 and all(isinstance(part, str) and part for part in pair):
        return StoredInput(*pair)
    raise ValidationError("Give a File, a FieldFile, the path of a local file, or (storage alias, name).")


def _local(path: Path) -> Path:
    if not path.is_file():
        raise ValidationError(f"There is no file {path} here.")
    return path


def _alias_of(storage: Storage) -> str:
    for alias in settings.STORAGES:
        if storages[alias] == storage:
            return str(alias)
    raise ValidationError("Its storage is not in STORAGES, where the worker would look for it: add it there.")


def _check_stored(found: StoredInput) -> None:
    try:
        is_there = storages[found.storage].exists(found.name)
    except InvalidStorageError:
        known = ", ".join(settings.STORAGES)
        raise ValidationError(f"There is no storage {found.storage!r}; STORAGES has: {known}.") from None
    except SuspiciousFileOperation:
        is_there = False
    if not is_there:
        raise ValidationError(f"There is no file {found.name!r} in the storage {found.storage!r}.")
