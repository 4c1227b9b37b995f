"""The testing kit: jobs with scripted ends, run in the test's own transaction, and what was queued."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

from django import forms
from django.core.exceptions import ValidationError
from uuid_utils.compat import uuid7

from container_manager import batches, registry
from container_manager.definitions import InputFile, parameters
from container_manager.definitions.definition import JobDefinition
from container_manager.exceptions import ConfigurationError
from container_manager.executors.fake import Script, engine
from container_manager.handlers.webhooks import WebhookRequest
from container_manager.models import ContainerJob
from container_manager.models.job_queryset import JobQuerySet
from container_manager.ownership import Claim
from container_manager.states import Status
from container_manager.testing.committing import committing, refuse_open_transaction
from container_manager.testing.delivering import Delivering
from container_manager.testing.running import Running
from container_manager.testing.runs import Run

Definition = type[JobDefinition] | str
Scripted = Run | Callable[[ContainerJob], Run]
ENGINE: Final = "testing"
COLUMNS: Final = ("name", "priority", "tenant", "unique_key", "scheduled_for")
"""What ``queued`` and the assertions take beside a definition's parameters."""


class ContainerJobs:
    """
    One test's container jobs: no engine, no thread, no other connection, no waiting.

    Jobs go the way they go in a worker: claimed within their limits, launched on the fake engine, their
    output, files and results read and stored, retried by their policies, handlers and batches told.
    """

    def __init__(self) -> None:
        self.webhooks: list[WebhookRequest] = []
        """What ``WEBHOOKS`` would have been sent, in order; nothing is sent."""
        self.using = JobQuerySet(ContainerJob).write_alias
        self._scripts: dict[str, tuple[Scripted, ...]] = {}
        self._engine = engine(ENGINE)
        self._engine.reset()

    def script(self, definition: Definition | None, *runs: Scripted) -> None:
        """
        From now on jobs of ``definition`` do what ``runs`` say: the first attempt the first, and so on.

        The last stands for all further attempts. A function is called with the job and returns the ``Run``.
        ``None`` = jobs of any definition, or none, that have no script of their own. Without a script a
        job is ``Run()``: it ends well.
        """
        if not runs:
            raise ConfigurationError("Give at least one Run: script(Transcode, Run(exit_code=1)).")
        self._scripts[_name(definition) if definition is not None else ""] = runs

    def run_all(self, *, scheduled: bool = False, propagate: bool = True, limit: int = 1_000) -> list[ContainerJob]:
        """
        Every job that is ready has ended, and what follows from it too; returns the jobs, in the order of their ends.

        One at a time, the best first. Retries follow at once. ``scheduled``: jobs that are not due yet run as
        well. Handlers are called right after what they are told of; with ``propagate`` the first error is
        raised here, without it they are tried again as in a worker. ``AssertionError`` after ``limit``
        attempts, ``QueueError`` inside ``atomic()``.
        """
        refuse_open_transaction(self.using)
        worker = uuid7()
        running = Running(self._engine, worker, self.using)
        delivering = Delivering(worker, self.using, self.webhooks)
        ran: dict[UUID, None] = {}
        attempts, is_moving = 0, True
        while is_moving:
            is_moving = self._deliver_all(delivering, propagate=propagate)
            with committing(self.using):
                running.make_ready(scheduled=scheduled)
                claim = running.claim()
                if claim is not None:
                    if (attempts := attempts + 1) > limit:
                        raise AssertionError(
                            f"{limit} attempts were run and more jobs are ready: does one queue another?"
                        )
                    running.run(claim, self._chosen)
                    ran.pop(claim.job.pk, None)
                    ran[claim.job.pk] = None
                is_moving |= batches.complete_ended(self.using) > 0 or claim is not None
        found = ContainerJob.objects.using(self.using).in_bulk(list(ran))
        return [found[pk] for pk in ran if pk in found]

    def queued(self, definition: Definition | None = None, **expected: Any) -> list[ContainerJob]:
        """
        Jobs that are in the queue now, scheduled ones too, the best first.

        Of ``definition``, whose parameters have the ``expected`` values; ``priority``, ``tenant``, ``name``,
        ``unique_key`` and ``scheduled_for`` may be among those. ``ConfigurationError`` for an unknown parameter.
        """
        jobs = JobQuerySet(ContainerJob, using=self.using).filter(status=Status.QUEUED).in_order()
        jobs = jobs.filter(**{name: value for name, value in expected.items() if name in COLUMNS})
        if definition is not None:
            jobs = jobs.filter(definition=_name(definition))
        given = {name: value for name, value in expected.items() if name not in COLUMNS}
        if not given:
            return list(jobs)
        if definition is None:
            raise ConfigurationError(f"{sorted(given)[0]!r} is a parameter of a definition: name the definition too.")
        wanted = _as_stored(registry.find(_name(definition)), given)
        return [job for job in jobs if wanted.items() <= job.parameters.items()]

    def assert_queued(self, definition: Definition, **expected: Any) -> ContainerJob:
        """A job of ``definition`` with these values is in the queue, as ``queued`` finds it; returns the first."""
        found = self.queued(definition, **expected)
        if not found:
            raise AssertionError(f"No job {_text(definition, expected)} is in the queue. {self._there_is(definition)}")
        return found[0]

    def assert_not_queued(self, definition: Definition, **expected: Any) -> None:
        """No job of ``definition`` with these values is in the queue."""
        if self.queued(definition, **expected):
            raise AssertionError(f"A job {_text(definition, expected)} is in the queue. {self._there_is(definition)}")

    def _deliver_all(self, delivering: Delivering, *, propagate: bool) -> bool:
        count = 0
        is_delivering = True
        while is_delivering:
            with committing(self.using):
                is_delivering = delivering.deliver_next(propagate=propagate)
            count += is_delivering
        return count > 0

    def _chosen(self, claim: Claim) -> Script:
        runs = self._scripts.get(claim.job.definition) or self._scripts.get("") or (Run(),)
        run = runs[min(claim.number, len(runs)) - 1]
        return (run if isinstance(run, Run) else run(claim.job)).script(claim.job)

    def _there_is(self, definition: Definition) -> str:
        jobs = JobQuerySet(ContainerJob, using=self.using).filter(definition=_name(definition)).order_by("pk")[:10]
        lines = [f"  {job.status}, priority {job.priority}, {job.parameters}" for job in jobs]
        return "\n".join(["Jobs of this definition:", *lines]) if lines else "There is no job of this definition."


def _name(definition: Definition) -> str:
    return str(registry.find(definition).name if isinstance(definition, str) else definition.name)


def _text(definition: Definition, expected: dict[str, Any]) -> str:
    values = ", ".join(f"{name}={value!r}" for name, value in expected.items())
    return f"{_name(definition)}({values})"


def _as_stored(definition: type[JobDefinition], given: dict[str, Any]) -> dict[str, Any]:
    """``given`` as a job's row has them."""
    if unknown := [name for name in given if name not in definition.fields]:
        known = ", ".join([*definition.fields, *COLUMNS])
        raise ConfigurationError(f"{definition.name} has no parameter {unknown[0]!r}; known: {known}.")
    cleaned = {name: _cleaned(definition.fields[name], value) for name, value in given.items()}
    return parameters.stored(definition.fields, cleaned)


def _cleaned(field: forms.Field, value: Any) -> Any:
    try:
        cleaned = field.clean(value)
    except ValidationError:
        return value  # no job can have it
    if isinstance(field, InputFile) and cleaned is not None and field.prepare_value(cleaned) is None:
        raise ConfigurationError(
            "A file that is copied when a job is queued is found in job.files; only one that is in a storage already, "
            "a FieldFile or (storage, name), can be asked for."
        )
    return cleaned
