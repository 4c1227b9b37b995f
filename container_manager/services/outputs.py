"""
What a job leaves behind: its result and its output files, read before its execution is removed.

Three steps. ``begin`` writes rows that say where the contents will be; ``collect``, without the
database, stores them; ``publish`` shows them, by a compare-and-set on the attempt's owner. Whoever
dies between two of them has left rows that retention cleans up, and the next owner begins anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import IO, Any, BinaryIO, Final, cast

from django.core.files import File
from django.core.files.storage import storages
from django.db import transaction
from uuid_utils.compat import uuid7

from container_manager.exceptions import ExecutionNotFoundError, ExecutorError, OutputFileError, StorageUnavailableError
from container_manager.executors import Executor
from container_manager.models import ContainerJob, JobFile
from container_manager.models.file import OWN_FOLDER
from container_manager.ownership import Claim
from container_manager.services.finishing import Ending
from container_manager.services.streams import CountedStream
from container_manager.specs import Handle
from container_manager.states import Outcome, Status

RESULT: Final = "result.json"
MOST_RESULT_BYTES: Final = 64 * 1024
_LEAVES_FILES: Final = frozenset({Outcome.OK, Outcome.APP_ERROR, Outcome.OOM, Outcome.TIMEOUT})


@dataclass(slots=True)
class Harvest:
    """What one attempt should leave behind, and what was found. ``problem``: why it is not all there."""

    claim: Claim
    rows: list[JobFile]
    found: dict[str, JobFile] = field(default_factory=dict)
    result: Any = None
    problem: str = ""


def leaves_files(ending: Ending, executor: Executor) -> bool:
    """Whether there is something to harvest after ``ending``."""
    return bool(ending.claim.job.definition) and ending.outcome in _LEAVES_FILES and executor.supports_files


def judged(ending: Ending, harvest: Harvest) -> Ending:
    """What ended well and did not leave what it should has failed; any other end stands as it is."""
    if not harvest.problem or ending.outcome is not Outcome.OK:
        return ending
    return replace(ending, outcome=Outcome.OUTPUT_ERROR, error=harvest.problem)


def begin(claim: Claim, using: str) -> Harvest:
    """A harvest whose rows, not ready, say where each output will be stored."""
    try_id = uuid7().hex
    rows = [
        JobFile(
            job_id=claim.job.pk, attempt=claim.number, direction=JobFile.Direction.OUTPUT, name=name,
            path=plan["path"], storage=plan["storage"], is_ready=False,
            stored_name=f"{OWN_FOLDER}outputs/{claim.job.pk.hex}/{try_id}/{PurePosixPath(plan['path']).name}",
        )
        for name, plan in claim.job.file_plan.get("outputs", {}).items()
    ]  # fmt: skip
    if rows:
        JobFile.objects.using(using).bulk_create(rows)
    return Harvest(claim, rows)


def collect(harvest: Harvest, executor: Executor, handle: Handle) -> None:
    """
    The outputs are stored, streamed a piece at a time, and the result is read. Idempotent; no query.

    A transient ``ExecutorError`` when the storage or the engine does not answer: call it again. What
    the job did wrong is ``harvest.problem``.
    """
    harvest.found, harvest.problem, harvest.result = {}, "", None
    problems: list[str] = []
    rows = {row.path: row for row in harvest.rows}
    left = executor.max_output_size
    try:
        for path, stream, size in executor.get_files(handle, [RESULT, *rows]):
            try:
                if left is not None and (left := left - size) < 0:
                    raise OutputFileError(_too_large(path, size, executor.max_output_size))
                if path == RESULT:
                    harvest.result = _result(stream, size, harvest.claim)
                else:
                    _store(rows[path], stream, size)
                    harvest.found[rows[path].name] = rows[path]
            except OutputFileError as error:
                problems.append(str(error))
    except ExecutionNotFoundError:
        problems.append("Its container was removed before its files were read.")
    except ExecutorError:
        raise
    except Exception as error:
        raise StorageUnavailableError(f"The output cannot be read: {type(error).__name__}: {error}") from error
    harvest.problem = " ".join([*problems, *_missing(harvest, problems)])


def publish(harvest: Harvest, using: str) -> bool:
    """
    The job's result and its files are visible, those of an earlier harvest of this attempt no more. Atomic.

    False = the attempt is another owner's, and nothing was written.
    """
    claim = harvest.claim
    jobs = ContainerJob.objects.using(using).filter(
        pk=claim.job.pk, worker=claim.worker, attempt=claim.number, status=Status.RUNNING
    )
    with transaction.atomic(using=using):
        if not jobs.update(result=harvest.result):
            return False
        _show(harvest, using)
    return True


def _show(harvest: Harvest, using: str) -> None:
    files = JobFile.objects.using(using)
    claim = harvest.claim
    before = files.filter(job_id=claim.job.pk, attempt=claim.number, direction=JobFile.Direction.OUTPUT, is_ready=True)
    before.exclude(pk__in=[row.pk for row in harvest.rows]).update(is_ready=False)
    for row in harvest.found.values():
        files.filter(pk=row.pk).update(is_ready=True, size=row.size, sha256=row.sha256, stored_name=row.stored_name)


def _too_large(path: str, size: int, most: int | None) -> str:
    return (
        f"With {path}, {size} bytes, the output files are larger than the {(most or 0) >> 20} MiB "
        "that this host takes: its option 'max_output_size'."
    )


def _missing(harvest: Harvest, problems: list[str]) -> Iterator[str]:
    plans = harvest.claim.job.file_plan.get("outputs", {})
    for row in harvest.rows:
        is_missing = row.name not in harvest.found and plans[row.name]["required"]
        if is_missing and not any(row.path in problem for problem in problems):
            yield f"The output file {row.name} is missing: {row.path} is no regular file in CM_OUTPUT_DIR."


def _result(stream: BinaryIO, size: int, claim: Claim) -> Any:
    if size > MOST_RESULT_BYTES:
        raise OutputFileError(f"{RESULT} has {size} bytes; at most {MOST_RESULT_BYTES} become the job's result.")
    try:
        value = json.loads(stream.read(), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise OutputFileError(f"{RESULT} is not JSON: {error}.") from error
    _check_storable(value)
    return claim.masker.mask_value(value) if claim.masker else value


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _check_storable(value: Any) -> None:
    """PostgreSQL's JSON takes neither NUL nor lone surrogates."""
    text = json.dumps(value, ensure_ascii=False)
    if "\\u0000" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise OutputFileError(f"{RESULT} holds NUL or a lone surrogate, which no database keeps.")


def _store(row: JobFile, stream: BinaryIO, size: int) -> None:
    what = f"The output {row.name} ({row.path})"
    counted = CountedStream(stream, what)
    try:
        storage = storages[row.storage]
        # Left by a try that was cut short.
        storage.delete(row.stored_name)
        row.stored_name = storage.save(row.stored_name, File(cast(IO[Any], counted), name=row.path))
    except ExecutorError:
        raise
    except Exception as error:
        raise StorageUnavailableError(
            f"{what} cannot be stored in {row.storage}: {type(error).__name__}: {error}"
        ) from error
    if counted.count != size:
        raise StorageUnavailableError(f"{what} was read to {counted.count} of {size} bytes.")
    row.size, row.sha256 = size, counted.sha256
