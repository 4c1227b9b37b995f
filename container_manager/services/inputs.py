"""A job's inputs and secrets, handed to its execution before the start."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, BinaryIO, cast

from django.core.exceptions import SuspiciousFileOperation
from django.core.files.storage import InvalidStorageError, storages

from container_manager.exceptions import ExecutorError, InputFileError, SpecificationError, StorageUnavailableError
from container_manager.executors import Executor
from container_manager.models import JobFile
from container_manager.ownership import Claim
from container_manager.services.streams import CountedStream
from container_manager.specs import Handle, JobSpec


def hand_over(claim: Claim, executor: Executor, spec: JobSpec, handle: Handle) -> None:
    """
    The execution, prepared and not started, has its folders, input files and secrets.

    Streamed, a piece at a time; no query. ``InputFileError`` when a file is not there or too large for the
    host, ``StorageUnavailableError`` when its storage does not answer; the execution is removed then.
    """
    if not executor.supports_files:
        raise SpecificationError("This host's executor takes no files, and the job has some, or secrets as files.")
    try:
        executor.put_files(spec, handle, _streams(claim, executor.max_input_size))
    except Exception:
        with suppress(ExecutorError):
            executor.remove(handle)
        raise


def record(claims: Sequence[Claim], using: str) -> None:
    """What was handed over has its size and checksum. Nothing is written for jobs without input files."""
    for claim in claims:
        for name, (size, sha256) in claim.inputs.items():
            JobFile.objects.using(using).filter(
                job_id=claim.job.pk, direction=JobFile.Direction.INPUT, name=name
            ).update(size=size, sha256=sha256)


def _streams(claim: Claim, most: int | None) -> Iterator[tuple[str, BinaryIO, int]]:
    total = 0
    for name, plan in claim.job.file_plan.get("inputs", {}).items():
        with _open(name, plan) as file:
            size = _size(name, plan, file)
            total += size
            if most is not None and total > most:
                raise InputFileError(
                    f"The input files have more than {most >> 20} MiB, which this host takes: "
                    f"its option 'max_input_size'. The first too many is {name}, {plan['name']}."
                )
            stream = CountedStream(file, f"The input {name} ({plan['name']} in the storage {plan['storage']})")
            yield plan["path"], cast(BinaryIO, stream), size
            claim.inputs[name] = (stream.count, stream.sha256)


def _open(name: str, plan: dict[str, str]) -> Any:
    where = f"The input {name}, {plan['name']} in the storage {plan['storage']},"
    try:
        return storages[plan["storage"]].open(plan["name"], "rb")
    except FileNotFoundError as error:
        raise InputFileError(f"{where} does not exist.") from error
    except InvalidStorageError as error:
        raise InputFileError(f"{where} is out of reach: the worker's STORAGES has no such alias.") from error
    except SuspiciousFileOperation as error:
        raise InputFileError(f"{where} is refused by the storage: {error}") from error
    except Exception as error:
        raise StorageUnavailableError(f"{where} cannot be opened: {type(error).__name__}: {error}") from error


def _size(name: str, plan: dict[str, str], file: Any) -> int:
    try:
        return int(file.size)
    except FileNotFoundError as error:
        raise InputFileError(f"The input {name}, {plan['name']}, does not exist.") from error
    except Exception as error:
        raise StorageUnavailableError(
            f"The input {name}, {plan['name']}, has no size: {type(error).__name__}: {error}"
        ) from error
