"""The outbox: one row for each time a handler is to be told of something."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from container_manager.sql.indexes import PartialIndex


class HandlerCall(models.Model):
    """
    A handler that is owed a call. Inserted in the transaction of what it is told.

    Waiting calls have ``next_try_at``; while one is delivered, that is the end of the
    deliverer's lease. ``tries`` fences the deliverers: each writes only under the number it took.
    """

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        DELIVERED = "delivered", _("delivered")
        FAILED = "failed", _("failed")
        """Given up. Kept, with its last error, until somebody retries it or it is old."""

    handler = models.CharField(max_length=200, help_text=_("Dotted path of the function, or webhook:NAME."))
    event = models.CharField(max_length=16)
    job = models.ForeignKey(
        "container_manager.ContainerJob",
        on_delete=models.CASCADE,
        related_name="handler_calls",
        null=True,
        blank=True,
        db_constraint=False,
    )
    subject = models.CharField(
        max_length=200, blank=True, default="", help_text=_("What it is about, where that is no job: a queue's name.")
    )
    once = models.CharField(
        max_length=255, null=True, blank=True, unique=True, editable=False, help_text=_("Told once for each value.")
    )
    attempt = models.PositiveIntegerField(default=0)
    state = models.CharField(max_length=9, choices=State.choices, default=State.WAITING)
    tries = models.PositiveIntegerField(default=0)
    next_try_at = models.DateTimeField(null=True, blank=True)
    worker = models.UUIDField(null=True, blank=True, help_text=_("The worker that delivers it now."))
    last_error = models.TextField(blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-id",)
        indexes = (
            PartialIndex(fields=["next_try_at", "id"], name="cm_call_due", where=models.Q(next_try_at__isnull=False)),
            models.Index(fields=["state", "finished_at", "id"], name="cm_call_history"),
        )

    def __str__(self) -> str:
        return f"{self.handler}: {self.event} of {self.subject or f'job {self.job_id}'} ({self.state})"

    @property
    def error_line(self) -> str:
        """The last line of the last traceback, which is the error itself; empty without one."""
        lines = self.last_error.strip().splitlines()
        return lines[-1] if lines else ""
