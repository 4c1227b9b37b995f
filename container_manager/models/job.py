"""A job: what to run, where it is in its life, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from uuid_utils.compat import uuid7

from container_manager import lifecycle, states
from container_manager.exceptions import InvalidTransitionError, JobValidationError
from container_manager.lifecycle import Subject, Tables
from container_manager.models.attempt import JobAttempt
from container_manager.models.event import JobEvent
from container_manager.models.file import JobFile, files_of, input_rows
from container_manager.models.guarded import GuardedModel, stale
from container_manager.models.job_queryset import JobQuerySet
from container_manager.models.lines import hold_for, line_of
from container_manager.models.output import attempt_output
from container_manager.models.specification import Specification
from container_manager.models.uniqueness import naming_the_holder, slot_of
from container_manager.sql.indexes import PartialIndex
from container_manager.states import (
    ACTIVE,
    PRIORITY_HIGHEST,
    PRIORITY_LOWEST,
    TERMINAL,
    TRANSITIONS,
    Hold,
    OnLost,
    Outcome,
    Status,
    Verb,
)

_VERBS: Final[dict[Status, Verb]] = {
    Status.PENDING: Verb.DEQUEUE,
    Status.QUEUED: Verb.QUEUE,
    Status.LAUNCHING: Verb.CLAIM,
    Status.RUNNING: Verb.START,
    Status.COMPLETED: Verb.COMPLETE,
    Status.FAILED: Verb.FAIL,
    Status.CANCELLED: Verb.CANCEL,
}
RESULT_CLEARED: Final[Mapping[str, Any]] = {
    "retry_count": 0, "rescue_count": 0, "rerun_count": 0, "infra_rerun_count": 0,
    "exit_code": None, "outcome": "", "error": "", "result": None, "progress": None, "progress_text": "",
    "cancel_requested_at": None,
}  # fmt: skip
"""What queueing a failed job again forgets. ``attempt`` is not among it: it only grows."""
_JUDGED: Final = frozenset({"scheduled_for", "retry_count", "max_retries", "queued_at"})
"""What ``hold_for`` reads, and when it was queued."""
_UNQUEUED: Final = frozenset({Status.PENDING, Status.FAILED})
"""Statuses from which a job enters the queue anew."""


class ContainerJob(Specification, GuardedModel):
    """
    A job and its state in the queue.

    ``ContainerJob.objects.create(command="echo hello")`` is enough. The columns of
    ``guarded_fields`` belong to the queue: ``save()`` writes one only where it was changed on
    this instance, and an illegal or stale change raises ``InvalidTransitionError``.
    """

    Status = Status
    PRIORITY_HIGH, PRIORITY_NORMAL, PRIORITY_LOW = 80, 50, 20

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    batch = models.ForeignKey(
        "container_manager.JobBatch", on_delete=models.SET_NULL, null=True, blank=True, editable=False,
        related_name="jobs", db_constraint=False, db_index=False,
    )  # fmt: skip
    line = models.CharField(
        max_length=64, blank=True, default="", editable=False, help_text=_("Where it waits, if something limits it.")
    )
    unique_slot = models.CharField(max_length=64, null=True, blank=True, unique=True, editable=False)

    status = models.CharField(max_length=10, choices=Status.choices, default=Status.PENDING)
    hold = models.CharField(max_length=16, choices=Hold.choices, blank=True, default=Hold.NONE, editable=False)
    hold_until = models.DateTimeField(null=True, blank=True, editable=False)
    hold_reason = models.TextField(blank=True, default="", editable=False)
    priority = models.PositiveSmallIntegerField(
        default=PRIORITY_NORMAL,
        validators=[MinValueValidator(PRIORITY_LOWEST), MaxValueValidator(PRIORITY_HIGHEST)],
        help_text=_("0 to 100, higher first; within one priority first in, first out."),
    )
    queued_at = models.DateTimeField(null=True, blank=True)
    scheduled_for = models.DateTimeField(null=True, blank=True, help_text=_("Not before this moment."))
    expires_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text=_("When queue_timeout_seconds runs out.")
    )
    launched_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True, help_text=_("The engine's own time."))
    finished_at = models.DateTimeField(null=True, blank=True)
    cancel_requested_at = models.DateTimeField(null=True, blank=True, editable=False)
    attempt = models.PositiveIntegerField(default=0, editable=False, help_text=_("Launches so far; it only grows."))
    worker = models.UUIDField(null=True, blank=True, editable=False)
    retry_count = models.PositiveIntegerField(default=0, help_text=_("Failed launches since it was queued."))
    max_retries = models.PositiveIntegerField(
        default=3, help_text=_("Launches before giving up: 3 = three in all. With 0 the job never becomes ready.")
    )
    rescue_count = models.PositiveIntegerField(default=0, editable=False)
    rerun_count = models.PositiveIntegerField(default=0, editable=False)
    infra_rerun_count = models.PositiveIntegerField(default=0, editable=False)
    retry_policy = models.CharField(
        max_length=50, blank=True, default="", help_text=_("default, never, on_failure, or a name of RETRY_POLICIES.")
    )
    on_lost = models.CharField(
        max_length=5,
        choices=OnLost.choices,
        default=OnLost.FAIL,
        help_text=_("When it may have run and its end was not seen."),
    )

    exit_code = models.IntegerField(null=True, blank=True)
    outcome = models.CharField(max_length=16, blank=True, default="", choices=Outcome.choices)
    error = models.TextField(blank=True, default="")
    result = models.JSONField(null=True, blank=True)
    progress = models.PositiveSmallIntegerField(null=True, blank=True, help_text=_("Percent."))
    progress_text = models.CharField(max_length=200, blank=True, default="")

    trace_context = models.JSONField(
        null=True, blank=True, editable=False, help_text=_("W3C context of the span that queued it.")
    )

    objects = JobQuerySet.as_manager()

    guarded_fields: ClassVar[frozenset[str]] = frozenset({
        "status", "hold", "hold_until", "hold_reason", "expires_at", "queued_at", "scheduled_for", "launched_at",
        "started_at", "finished_at", "cancel_requested_at", "attempt", "worker", "retry_count", "max_retries",
        "rescue_count", "rerun_count", "infra_rerun_count", "exit_code", "outcome", "error", "result", "progress",
        "progress_text", "unique_key", "unique_slot", "line",
    })  # fmt: skip

    class Meta:
        verbose_name = _("container job")
        permissions = (
            ("launch_containerjob", "Can queue, dequeue and launch jobs"),
            ("cancel_containerjob", "Can cancel jobs"),
            ("retry_containerjob", "Can retry jobs"),
            ("view_logs_containerjob", "Can read the output of jobs"),
        )
        indexes = (
            PartialIndex(
                fields=["queue", "-priority", "queued_at", "id"], name="cm_job_ready",
                where=Q(status=Status.QUEUED, hold=Hold.NONE), lead=["status", "hold"],
            ),
            PartialIndex(
                fields=["line", "-priority", "queued_at", "id"], name="cm_job_line",
                where=Q(status=Status.QUEUED, hold=Hold.LIMIT), lead=["status", "hold"],
            ),
            PartialIndex(fields=["hold_until", "id"], name="cm_job_due", where=Q(hold_until__isnull=False)),
            PartialIndex(fields=["expires_at", "id"], name="cm_job_expires", where=Q(expires_at__isnull=False)),
            PartialIndex(fields=["batch", "status"], name="cm_job_batch", where=Q(batch__isnull=False)),
            models.Index(fields=["status", "finished_at", "id"], name="cm_job_history"),
        )  # fmt: skip
        constraints = (
            models.CheckConstraint(name="cm_job_status", condition=Q(status__in=list(Status))),
            models.CheckConstraint(
                name="cm_job_priority", condition=Q(priority__gte=PRIORITY_LOWEST, priority__lte=PRIORITY_HIGHEST)
            ),
            models.CheckConstraint(
                name="cm_job_queued_at",
                condition=Q(status=Status.CANCELLED)
                | Q(status=Status.PENDING, queued_at__isnull=True)
                | (Q(queued_at__isnull=False) & ~Q(status=Status.PENDING)),
            ),
            models.CheckConstraint(
                name="cm_job_launched_at",
                condition=Q(status__in=[Status.CANCELLED, Status.FAILED])
                | Q(status__in=[Status.PENDING, Status.QUEUED], launched_at__isnull=True)
                | Q(status__in=[Status.LAUNCHING, Status.RUNNING, Status.COMPLETED], launched_at__isnull=False),
            ),
        )

    def __str__(self) -> str:
        return f"{self.name or self.pk} ({self.status})"

    @property
    def is_queued(self) -> bool:
        """In the queue and not launched."""
        return self.queued_at is not None and self.launched_at is None and self.status not in TERMINAL

    @property
    def is_ready_to_launch(self) -> bool:
        """Queued, due, and with a launch left in ``max_retries``."""
        is_due = self.scheduled_for is None or self.scheduled_for <= timezone.now()
        return self.is_queued and is_due and self.retry_count < self.max_retries

    @property
    def is_finished(self) -> bool:
        return self.status in TERMINAL

    def can_transition_to(self, status: str) -> bool:
        """Whether the table of transitions has the edge from this instance's status."""
        return lifecycle.check_move(self.status, status)

    def transition_to(self, status: str, *, actor: str = lifecycle.SYSTEM, **values: Any) -> None:
        """
        The row has moved from this instance's status to ``status``, with ``values`` written too.

        Atomic; of several concurrent moves exactly one wins. ``InvalidTransitionError`` when the
        table has no such edge, or the row is no longer in this instance's status. ``actor`` is
        named in the event.
        """
        target = Status(status)
        if target == Status.QUEUED and self.status in _UNQUEUED:
            values = self._queue_values(Status(self.status), values)
        elif target == Status.PENDING and self.status == Status.FAILED:
            values = {"unique_slot": slot_of(self.unique_key), **values}
        self._move(target, values, using=self.write_alias, verb=_VERBS[target], actor=actor)

    def mark_as_queued(self, scheduled_for: datetime | None = None, **values: Any) -> None:
        """In the queue, at its end; a failed job starts afresh. ``None`` keeps a ``scheduled_for`` already set."""
        self.transition_to(Status.QUEUED, scheduled_for=scheduled_for or self.scheduled_for, **values)

    def mark_as_running(self) -> None:
        """Running by means of the caller's own: a queued job passes through LAUNCHING."""
        if self.status == Status.QUEUED:
            self.transition_to(Status.LAUNCHING)
        self.transition_to(Status.RUNNING, started_at=timezone.now())

    def mark_as_completed(self) -> None:
        """Completed; an attempt that was open is closed, and its container left to the host's reconciliation."""
        self.transition_to(Status.COMPLETED)

    def mark_as_failed(self, error: str = "") -> None:
        """Failed, with ``error`` kept; an attempt that was open is closed as above."""
        self.transition_to(Status.FAILED, error=error)

    def output(self, stream: str | None = None, tail: int | None = None) -> str:
        """
        What the last attempt wrote: both streams in order, or one; its last ``tail`` lines.

        Invalid UTF-8 is shown as U+FFFD. Where output was left out, a line says how many bytes.
        """
        attempt = JobAttempt.objects.using(self.write_alias).filter(job_id=self.pk).order_by("-number").first()
        return attempt_output(attempt, stream=stream, tail=tail) if attempt else ""

    @property
    def files(self) -> dict[str, JobFile]:
        """Its inputs and the outputs of its last attempt with any: ``job.files["clip"].open("rb")``. One query."""
        return files_of(self, self.write_alias)

    def delete(self, using: str | None = None, keep_parents: bool = False) -> tuple[int, dict[str, int]]:
        """The row, its attempts, events and output are gone. ``JobActiveError`` while a container may exist."""
        rows = JobQuerySet(type(self), using=using or self.write_alias).filter(pk=self.pk)
        return rows.delete()

    def clean(self) -> None:
        problems = self.specification_problems()
        if problems:
            raise ValidationError(problems)

    def validate_specification(self) -> None:
        """``JobValidationError`` naming each wrong field and its fix."""
        problems = self.specification_problems()
        if problems:
            raise JobValidationError(problems)

    def prepare_insert(self) -> None:
        """Fill the timestamps that the given status implies; ``queued_at`` on a pending job means queued."""
        if self.status == Status.PENDING and (self.queued_at or self.launched_at):
            self.status = Status.RUNNING if self.launched_at else Status.QUEUED
        if self.status == Status.QUEUED and self.launched_at:
            raise JobValidationError(
                {"launched_at": "A queued job has not been launched: leave it empty, or say running."}
            )
        self.unique_slot = None if self.status in TERMINAL else slot_of(self.unique_key)
        now = timezone.now()
        if self.status not in (Status.PENDING, Status.CANCELLED):
            self.queued_at = self.queued_at or now
        if self.status in ACTIVE or self.status == Status.COMPLETED:
            self.launched_at = self.launched_at or now
        if self.status in TERMINAL:
            self.finished_at = self.finished_at or now
        if self.status == Status.QUEUED and self.hold == Hold.NONE:
            self.line = line_of(self)
            self.hold, self.hold_until = hold_for(self.scheduled_for, self.retry_count, self.max_retries, self.line)
        if self.status == Status.QUEUED and self.queued_at is not None:
            self.expires_at = self.expiry(self.queued_at, self.scheduled_for)

    @classmethod
    def inserted(cls, rows: Sequence[ContainerJob], using: str) -> None:
        files = input_rows(rows)
        if files:
            JobFile.objects.using(using).bulk_create(files)

    def expiry(self, queued_at: datetime, scheduled_for: datetime | None) -> datetime | None:
        """When a job queued so has waited for too long; ``None`` = never."""
        if self.queue_timeout_seconds is None:
            return None
        try:
            return max(queued_at, scheduled_for or queued_at) + timedelta(seconds=self.queue_timeout_seconds)
        except OverflowError:
            # After the last of all dates.
            return None

    def save_guarded(self, changes: dict[str, Any], using: str) -> None:
        if "status" not in self._loaded:  # deferred
            self._loaded = {**ContainerJob.objects.using(using).values("status").get(pk=self.pk), **self._loaded}
        loaded = Status(self._loaded["status"])
        target = Status(changes.pop("status", loaded))
        if loaded == target == Status.PENDING and changes.get("queued_at"):
            target = Status.QUEUED
        self.status = loaded
        if "unique_key" in changes:
            changes["unique_slot"] = None if target in TERMINAL else slot_of(changes["unique_key"])
        if target == Status.QUEUED and loaded in _UNQUEUED:
            changes = self._queue_values(loaded, changes)
        elif target == Status.QUEUED and "hold" not in changes and (target != loaded or _JUDGED & changes.keys()):
            hold, until = hold_for(self.scheduled_for, self.retry_count, self.max_retries, self.line)
            changes |= {"hold": hold, "hold_until": until}
        if target == loaded:
            self._write(changes, using)
        else:
            self._move(target, changes, using=using, verb=_VERBS[target])

    def _queue_values(self, source: states.Status, values: Mapping[str, Any]) -> dict[str, Any]:
        """
        What the row of a job gets that enters the queue from ``source``, given ``values``.

        With the hold goes what it was judged by, saved or not, so that the row never contradicts itself.
        """
        cleared = {**RESULT_CLEARED, "unique_slot": slot_of(self.unique_key)} if source == Status.FAILED else {}
        own = {"scheduled_for": self.scheduled_for, "max_retries": self.max_retries, "retry_count": self.retry_count}
        known = {**own, **cleared, **values, "queued_at": values.get("queued_at") or timezone.now()}
        line = line_of(self)
        hold, until = hold_for(known["scheduled_for"], known["retry_count"], known["max_retries"], line)
        expires_at = self.expiry(known["queued_at"], known["scheduled_for"])
        return {"hold": hold, "hold_until": until, "line": line, "expires_at": expires_at, **known}

    def save(self, *args: Any, **kwargs: Any) -> None:
        """As Django's; ``DuplicateJobError`` when another unfinished job holds the key."""
        is_new = self._state.adding or bool(kwargs.get("force_insert"))
        with self._takes_its_key({"unique_slot": self.unique_key if is_new else None}, kwargs.get("using")):
            super().save(*args, **kwargs)

    def _takes_its_key(self, values: Mapping[str, Any], using: str | None) -> AbstractContextManager[None]:
        if values.get("unique_slot") is None:
            return nullcontext()
        return naming_the_holder(ContainerJob.objects.using(using or self.write_alias), [self.unique_key])

    @property
    def write_alias(self) -> str:
        return self._state.db or JobQuerySet(type(self)).write_alias

    @property
    def _guard(self) -> dict[str, Any]:
        return {"attempt": self._loaded.get("attempt", self.attempt)}

    def _write(self, changes: dict[str, Any], using: str) -> None:
        status = self._loaded["status"]
        with self._takes_its_key(changes, using):
            rows = ContainerJob.objects.using(using).filter(pk=self.pk, status=status, **self._guard)
            written = rows.update(**changes)
        if not written:
            raise stale(self.pk, status, status)
        for name, value in changes.items():
            setattr(self, name, value)

    def _move(
        self, target: states.Status, values: dict[str, Any], *, using: str, verb: Verb, actor: str = lifecycle.SYSTEM
    ) -> None:
        source = states.Status(self.status)
        if not lifecycle.check_move(source, target):
            allowed = ", ".join(sorted(TRANSITIONS[source])) or "nowhere: it is final"
            raise InvalidTransitionError(self.pk, source, target, f"From {source} it may go to {allowed}.")
        with self._takes_its_key(values, using):
            moved = lifecycle.transition(
                TABLES, using, [Subject(self.pk, self.attempt)],
                to=target, verb=verb, guard=self._guard, values=values, sources=[source], actor=actor,
            )  # fmt: skip
        if not moved:
            raise stale(self.pk, source, target)
        if target == Status.QUEUED and source in _UNQUEUED:
            self.show_queued(values)
        else:
            self.refresh_from_db(using=using, fields=self.guarded_fields)

    def show_queued(self, written: Mapping[str, Any]) -> None:
        """The instance is as its row is that has just entered the queue with ``written``: nothing is asked."""
        for name, value in {**lifecycle.implied(Status.QUEUED), **written}.items():
            setattr(self, name, value)
        self.mark_as_loaded()


TABLES: Final = Tables(ContainerJob, JobAttempt, JobEvent)
