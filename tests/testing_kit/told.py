"""Handlers that write down what they were told."""

from __future__ import annotations

from django.db import connection

from container_manager.models import ContainerJob, JobBatch
from tests.video.container_jobs import MakeThumbnail, Transcode

told: list[str] = []


def job_told(job: ContainerJob) -> None:
    told.append(f"{job.definition or job.name} {job.status}")


def another(job: ContainerJob) -> None:
    MakeThumbnail.queue(width=(job.result or {})["seconds"] * 100)


def the_same_again(job: ContainerJob) -> None:
    Transcode.queue(**job.parameters)


def raising(job: ContainerJob) -> None:
    told.append("raising")
    raise LookupError("no such clip")


def breaking(job: ContainerJob) -> None:
    told.append("breaking")
    with connection.cursor() as cursor:
        cursor.execute("SELECT no_such_column FROM container_manager_containerjob")


def batch_told(batch: JobBatch) -> None:
    told.append(f"{batch.name} {batch.completed} of {batch.total}")
