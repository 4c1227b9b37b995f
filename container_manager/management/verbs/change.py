"""``containers queue | dequeue | cancel | retry``: one verb of the queue, for named jobs or for all that match."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from container_manager.exceptions import QueueError
from container_manager.management import exits
from container_manager.management.arguments import add_filters, filter_from
from container_manager.management.finding import find_job
from container_manager.management.verbs.base import Verb
from container_manager.models import ContainerJob
from container_manager.models.job_queryset import JobQuerySet
from container_manager.queue import queue_manager
from container_manager.states import Status


class ChangeVerb(Verb):
    """Does one thing to jobs; says how many were done and why others were refused."""

    def __init__(
        self, name: str, help_text: str, do: Callable[[ContainerJob], object], sources: Iterable[Status]
    ) -> None:
        self.name, self.help, self._do, self._sources = name, help_text, do, list(sources)  # type: ignore[misc]

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("jobs", nargs="*", metavar="ID", help="The first or last characters of their ids.")
        parser.add_argument("--all-matching", action="store_true", help="All that match the filters, instead of ids.")
        parser.add_argument("--yes", action="store_true", help="With --all-matching: do it, do not only count.")
        add_filters(parser)

    def run(self, command: BaseCommand, options: Mapping[str, Any]) -> int:
        if options["all_matching"] == bool(options["jobs"]):
            command.stderr.write("Give ids, or --all-matching with filters; not both.")
            return exits.USAGE
        if options["jobs"]:
            return self._each(command, [find_job(text) for text in options["jobs"]])
        matching = filter_from(options).apply(JobQuerySet(ContainerJob, using=queue_manager.using))
        matching = matching.filter(status__in=self._sources)
        if not options["yes"]:
            command.stderr.write(f"{matching.count()} jobs match. Add --yes to {self.name} them.")
            return exits.USAGE
        return self._each(command, matching.order_by("id").iterator(chunk_size=500))

    def _each(self, command: BaseCommand, jobs: Iterable[ContainerJob]) -> int:
        done = refused = 0
        for job in jobs:
            try:
                self._do(job)
            except QueueError as error:
                refused += 1
                command.stderr.write(str(error))
            else:
                done += 1
        command.stdout.write(f"{self.name}: {done} done" + (f", {refused} refused" if refused else ""))
        if not refused:
            return exits.OK
        return exits.PARTIAL if done else exits.REFUSED


def _cancel(job: ContainerJob) -> object:
    return queue_manager.cancel_job(job, actor=getpass.getuser())


CHANGES = (
    ChangeVerb(
        "queue", "Put jobs in the queue; failed ones start afresh.", queue_manager.queue_job,
        [Status.PENDING, Status.FAILED],
    ),
    ChangeVerb("dequeue", "Take jobs out of the queue.", queue_manager.dequeue_job, [Status.QUEUED]),
    ChangeVerb(
        "cancel", "Cancel jobs; running ones are stopped.", _cancel,
        [Status.PENDING, Status.QUEUED, Status.LAUNCHING, Status.RUNNING],
    ),
    ChangeVerb("retry", "Queue failed jobs again, afresh.", queue_manager.retry_job, [Status.FAILED]),
)  # fmt: skip
