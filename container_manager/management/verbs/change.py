"""``containers queue | dequeue | cancel | retry``: one verb of the queue, for named jobs or for all that match."""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandParser

from container_manager.bulk import Action, Change, changes
from container_manager.exceptions import JobNotFoundError, QueueError
from container_manager.management import exits
from container_manager.management.arguments import ID_HELP, add_filters, add_json, filter_from
from container_manager.management.finding import find_job
from container_manager.management.progress import steps
from container_manager.management.rendering import note, print_json
from container_manager.management.verbs.base import Verb
from container_manager.models import ContainerJob
from container_manager.models.job_queryset import JobQuerySet
from container_manager.queue import queue_manager


class ChangeVerb(Verb):
    """Does one action to jobs; says how many were done and why others were refused."""

    def __init__(self, action: Action, help_text: str) -> None:
        self.name, self.help, self._action = action.value, help_text, action  # type: ignore[misc]

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
        every = JobQuerySet(ContainerJob, using=queue_manager.using)
        if options["jobs"]:
            found, errors = _found(options["jobs"])
            for error in errors:
                command.stderr.write(str(error))
            return self._change(command, every.filter(pk__in=found), errors, is_json=options["json"])
        matching = filters.apply(every).filter(status__in=self._action.sources)
        if not options["yes"]:
            note(command, f"Matching: {_jobs(matching.count())}. Add --yes to {self.name} them.")
            return exits.USAGE
        return self._change(command, matching, [], is_json=options["json"])

    def _change(self, command: BaseCommand, jobs: JobQuerySet, errors: list[QueueError], *, is_json: bool) -> int:
        done: list[Change] = []
        with steps(command, self.name, jobs.count()) as progress:
            for change in changes(self._action, jobs, actor=_user()):
                progress.advance()
                if change.error is None:
                    done.append(change)
                else:
                    errors.append(change.error)
                    progress.say(str(change.error))
        if is_json:
            changed = [{"id": change.job_id, "status": change.status} for change in done]
            print_json(command, self.name, {"done": changed, "refused": [str(error) for error in errors]})
        else:
            refused = f", {len(errors)} refused" if errors else ""
            command.stdout.write(f"{self.name}: {len(done)} done{refused}")
        return _exit_code(done, errors)


def _found(texts: Iterable[str]) -> tuple[list[UUID], list[QueueError]]:
    found: list[UUID] = []
    errors: list[QueueError] = []
    for text in texts:
        try:
            found.append(find_job(text).pk)
        except JobNotFoundError as error:
            errors.append(error)
    return found, errors


def _exit_code(done: list[Change], errors: list[QueueError]) -> int:
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


CHANGES = (
    ChangeVerb(Action.QUEUE, "Put jobs in the queue; failed ones start afresh."),
    ChangeVerb(Action.DEQUEUE, "Take jobs out of the queue."),
    ChangeVerb(Action.CANCEL, "Cancel jobs; running ones are stopped."),
    ChangeVerb(Action.RETRY, "Queue failed jobs again, afresh."),
)
