"""What a job is given and what it leaves behind: files in Django's storages."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from django.core.files import File
from django.core.files.storage import storages
from django.db import connections, models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from uuid_utils.compat import uuid7

if TYPE_CHECKING:
    from container_manager.models.job import ContainerJob

logger = logging.getLogger(__name__)

OWN_FOLDER: Final = "container_manager/"
"""In each storage: what lies under it was put there by this package, and goes with its jobs."""


class JobFile(models.Model):
    """
    One file of a job in a storage. ``attempt`` is 0 for an input.

    A ``LOG`` is what an attempt wrote, moved out of the database by ``OUTPUT_STORE``. An output is listed
    once it ``is_ready``: all of it is stored. Its row is written before its content, so that whatever was
    stored can be found. ``size`` and ``sha256`` of an input are known once it was handed over.
    """

    class Direction(models.TextChoices):
        INPUT = "input", _("input")
        OUTPUT = "output", _("output")
        LOG = "log", _("log")

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    job = models.ForeignKey(
        "container_manager.ContainerJob",
        on_delete=models.CASCADE,
        related_name="file_rows",
        db_constraint=False,
        db_index=False,
    )
    attempt = models.PositiveIntegerField(default=0)
    direction = models.CharField(max_length=6, choices=Direction.choices)
    name = models.CharField(max_length=100, help_text=_("The parameter's."))
    path = models.CharField(max_length=500, help_text=_("In the input or the output folder."))
    storage = models.CharField(max_length=100, help_text=_("Alias in STORAGES."))
    stored_name = models.CharField(max_length=500)
    is_ready = models.BooleanField(default=True)
    size = models.BigIntegerField(null=True, blank=True, help_text=_("Bytes."))
    sha256 = models.CharField(max_length=64, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("job_id", "attempt", "name")
        indexes = (
            models.Index(fields=["job", "attempt"], name="cm_file_job"),
            models.Index(fields=["stored_name"], name="cm_file_stored_name"),
            models.Index(fields=["direction", "id"], name="cm_file_direction"),
        )

    def __str__(self) -> str:
        return f"{self.direction} {self.name} of job {self.job_id}"

    def open(self, mode: str = "rb") -> File[Any]:
        """The stored file. ``FileNotFoundError`` and the like are its storage's."""
        return storages[self.storage].open(self.stored_name, mode)

    @property
    def url(self) -> str:
        """Where a browser finds it, if its storage has an address for it."""
        return storages[self.storage].url(self.stored_name)

    @property
    def is_owned(self) -> bool:
        """Whether this package stored it, so that it is deleted with the last job that has it."""
        return self.stored_name.startswith(OWN_FOLDER)


def input_rows(jobs: Iterable[ContainerJob]) -> list[JobFile]:
    """A row for each input of ``jobs``, from their plans; not saved."""
    return [
        JobFile(
            job=job, direction=JobFile.Direction.INPUT, name=name,
            path=plan["path"], storage=plan["storage"], stored_name=plan["name"],
        )
        for job in jobs
        for name, plan in (job.file_plan or {}).get("inputs", {}).items()
    ]  # fmt: skip


def shown_files(job: ContainerJob, using: str) -> models.QuerySet[JobFile]:
    """Its inputs, and the outputs of every attempt, as far as they are ready."""
    return JobFile.objects.using(using).filter(job_id=job.pk, is_ready=True).exclude(direction=JobFile.Direction.LOG)


def files_of(job: ContainerJob, using: str) -> dict[str, JobFile]:
    """The inputs of ``job``, and the outputs of the last attempt that left any, by name. One query."""
    rows = list(shown_files(job, using))
    last = max((row.attempt for row in rows), default=0)
    return {row.name: row for row in rows if row.attempt in (0, last)}


def owned_contents(job_ids: Collection[UUID], using: str) -> dict[str, list[str]]:
    """By storage, what this package stored for these jobs and no other job has."""
    rows = JobFile.objects.using(using).filter(stored_name__startswith=OWN_FOLDER)
    own = set(rows.filter(job_id__in=job_ids).order_by().values_list("storage", "stored_name"))
    names = {name for _, name in own}
    shared = rows.filter(stored_name__in=names).exclude(job_id__in=job_ids) if names else rows.none()
    contents: defaultdict[str, list[str]] = defaultdict(list)
    for storage, name in sorted(own - set(shared.values_list("storage", "stored_name"))):
        contents[storage].append(name)
    return dict(contents)


def discard_copies(job: ContainerJob, using: str) -> None:
    """Copies that were made for ``job``, which was not queued, are deleted; what another job has stays."""
    copies = {(row.storage, row.stored_name) for row in input_rows([job]) if row.is_owned}
    if not copies or connections[using].needs_rollback:
        return
    names = {name for _, name in copies}
    known = JobFile.objects.using(using).filter(stored_name__in=names).order_by()
    for storage, name in copies - set(known.values_list("storage", "stored_name")):
        delete_contents({storage: [name]})


def delete_contents(contents: Mapping[str, Collection[str]]) -> set[tuple[str, str]]:
    """What is named, by storage, is deleted; returns what could not be, with a line in the log for each."""
    left = set()
    for alias, names in contents.items():
        for name in names:
            try:
                storages[alias].delete(name)
            except Exception as error:  # noqa: BLE001 - any library may be under a storage
                logger.warning("not deleted from the storage %s: %s: %s", alias, name, error)
                left.add((alias, name))
    return left
