"""A job's files: what it was given and what each attempt left, and one of them from its storage."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from django.http import FileResponse
from django.utils.cache import add_never_cache_headers
from django.utils.translation import gettext as _

from container_manager.models import ContainerJob, JobFile
from container_manager.models.file import shown_files

logger = logging.getLogger(__name__)

SHOWN: Final = 500


@dataclass(frozen=True, slots=True)
class FileGroup:
    """The inputs, or the outputs of one attempt."""

    title: str
    files: list[JobFile]


def has_files(job: ContainerJob, using: str) -> bool:
    return shown_files(job, using).exists()


def file_groups(job: ContainerJob, using: str) -> list[FileGroup]:
    """The inputs, then the outputs, those of the last attempt first; one query."""
    rows = shown_files(job, using).order_by("attempt", "name", "path")
    groups: dict[int, list[JobFile]] = {}
    for row in rows[:SHOWN]:
        groups.setdefault(row.attempt, []).append(row)
    inputs = groups.pop(0, [])
    found = [FileGroup(_("Inputs"), inputs)] if inputs else []
    for attempt, files in sorted(groups.items(), reverse=True):
        found.append(FileGroup(_("Outputs of attempt %(number)d") % {"number": attempt}, files))
    return found


def download_file(file: JobFile) -> FileResponse | None:
    """All of it, streamed and never shown by a browser as a page; ``None`` when its storage does not give it out."""
    try:
        content = file.open()
    except Exception as error:  # noqa: BLE001 - any library may be under a storage
        logger.warning("not read from the storage %s: %s: %s", file.storage, file.stored_name, error)
        return None
    name = PurePosixPath(file.path).name or file.name
    answer = FileResponse(content, as_attachment=True, filename=name, content_type="application/octet-stream")
    answer["X-Content-Type-Options"] = "nosniff"
    add_never_cache_headers(answer)
    return answer
