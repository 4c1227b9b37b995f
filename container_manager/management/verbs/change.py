"""``containers queue | dequeue | cancel | retry``: one verb of the queue, for named jobs or for all that match."""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandParser

from container_manager.exceptions import JobNotFoundError, QueueError
from container_manager.management import exits
from container_manager.management.arguments import ID_HELP, add_filters, add_json, filter_from
from container_manager.management.finding import find_job
from container_manager.management.rendering import note, print_json
from container_manager.management.verbs.base import Verb
from container_manager.models import ContainerJob
from container_manager.models.job_queryset import JobQuerySet
from container_manager.queue import queue_manager
from container_manager.states import Status

PAGE: Final = 500


class ChangeVerb(Verb):
    """Does one thing to jobs; says how many were done and why others were refused."""

    def __init__(
        self, name: str, help_text: str, do: Callable[[ContainerJob], object], sources: Iterable[Status]
    ) -> None:
        self.name, self.help, self._do, self._sources = name, help_text, do, list(sources)  # type: ignore[misc]

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("jobs", nargs="*", metavar="ID", help=ID_HELP)
        parser.add_argument("--all-matching", action="store_true", help="All that match the filters, instead of ids.")
        parser.add_argument("--yes", action="store_true", help="With --all-matching: do it, do not only count.")
        add_filters(parser)
        add_json(parser)

    def run(self, command: BaseCommand, options: Mapping[str, Any]) -> int:
        filters = filter_from(options)
        if options["all_matching"] == bool(options["jobs"]) or (options["jobs"] and not filters.is_empty):
            command.stderr.write("Give ids, or --all-matching with filters; not both.")
            return exits.USAGE
        if options["jobs"]:
            return self._each(command, self._found(options["jobs"]), is_json=options["json"])
        matching = filters.apply(JobQuerySet(ContainerJob, using=queue_manager.using))
        matching = matching.filter(status__in=self._sources)
        if not options["yes"]:
            note(command, f"Matching: {_jobs(matching.count())}. Add --yes to {self.name} them.")
            return exits.USAGE
        return self._each(command, _paged(matching), is_json=options["json"])

    def _found(self, texts: Iterable[str]) -> Iterator[ContainerJob | QueueError]:
        for text in texts:
            try:
                yield find_job(text)
            except JobNotFoundError as error:
                yield error

    def _each(self, command: BaseCommand, jobs: Iterable[ContainerJob | QueueError], *, is_json: bool) -> int:
        done: list[ContainerJob] = []
        errors: list[QueueError] = []
        for job in jobs:
            try:
                if isinstance(job, QueueError):
                    raise job
                self._do(job)
            except QueueError as error:
                errors.append(error)
                command.stderr.write(str(error))
            else:
                done.append(job)
                if len(done) % PAGE == 0:
                    note(command, f"{len(done):,} done")
        if is_json:
            changed = [{"id": job.pk, "status": job.status} for job in done]
            print_json(command, self.name, {"done": changed, "refused": [str(error) for error in errors]})
        else:
            refused = f", {len(errors)} refused" if errors else ""
            command.stdout.write(f"{self.name}: {len(done)} done{refused}")
        return _exit_code(done, errors)


def _paged(matching: JobQuerySet) -> Iterator[ContainerJob]:
    """``matching`` by id, a page in memory at a time; no cursor stays open while its rows are changed."""
    after = None
    while True:
        page = list((matching if after is None else matching.filter(pk__gt=after)).order_by("pk")[:PAGE])
        yield from page
        if len(page) < PAGE:
            return
        after = page[-1].pk


def _exit_code(done: list[ContainerJob], errors: list[QueueError]) -> int:
    if not errors:
        return exits.OK
    if done:
        return exits.PARTIAL
    return exits.NOT_FOUND if all(isinstance(error, JobNotFoundError) for error in errors) else exits.REFUSED


def _jobs(count: int) -> str:
    return "1 job" if count == 1 else f"{count:,} jobs"


def _user() -> str:
    """Who asks, for the job's history. A container's user may have no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def _cancel(job: ContainerJob) -> object:
    return queue_manager.cancel_job(job, actor=_user())


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
