"""Where jobs run: an engine, how to reach it, what it serves and how much it takes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from container_manager.exceptions import ConfigurationError
from container_manager.executors import executor_class
from container_manager.models.lines import when_due
from container_manager.validation import queue_problems

NEEDS_NODE = _(
    "Its engine is reached from one machine only: give the node name of the workers there, as "
    "'containers workers' shows it."
)


def default_queues() -> list[str]:
    return ["default"]


class ExecutorHost(models.Model):
    """
    An engine that serves ``queues``, and always its own queue ``host:<name>``.

    A change of one re-judges jobs held as unschedulable.
    """

    name = models.SlugField(max_length=59, unique=True)
    executor_type = models.CharField(max_length=50, help_text=_("process, docker, or a name of the setting EXECUTORS."))
    options = models.JSONField(
        default=dict,
        blank=True,
        help_text=_('The executor\'s own options: {"base_url": "unix:///var/run/docker.sock"}.'),
    )
    queues = models.JSONField(default=default_queues, blank=True, help_text=_("Names of the queues it serves."))
    is_active = models.BooleanField(default=True, help_text=_("Off = drained: no new jobs; what runs goes on."))
    is_embedded = models.BooleanField(default=False, editable=False)
    weight = models.PositiveIntegerField(
        default=100, help_text=_("Among hosts with room, the heavier is filled first.")
    )
    max_concurrent_jobs = models.PositiveIntegerField(default=10, validators=[MinValueValidator(1)])
    cpu_capacity = models.FloatField(
        null=True, blank=True, validators=[MinValueValidator(0.01)], help_text=_("Cores; empty = not counted.")
    )
    memory_capacity = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1)], help_text=_("MiB; empty = not counted.")
    )
    node = models.CharField(
        max_length=255,
        blank=True,
        default="",
        help_text=_("Only workers on this node serve it; needed for local processes."),
    )

    engine_id = models.CharField(
        max_length=255, blank=True, default="", help_text=_("The engine's identity at first contact.")
    )
    engine_version = models.CharField(max_length=100, blank=True, default="")
    checked_at = models.DateTimeField(null=True, blank=True)
    health_error = models.TextField(blank=True, default="", help_text=_("Why it is not healthy; empty = healthy."))
    failures = models.PositiveIntegerField(default=0, help_text=_("Engine failures in a row."))
    error_count = models.PositiveBigIntegerField(
        default=0, editable=False, help_text=_("Engine failures since the beginning.")
    )
    retry_at = models.DateTimeField(null=True, blank=True, help_text=_("No launches before this moment."))
    served_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text=_("When a worker last reached its engine; after HOST_TIMEOUT its jobs are lost."),
    )
    claimed_at = models.DateTimeField(
        null=True, blank=True, help_text=_("The last claim; its write is the host's lock.")
    )

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        super().save(*args, **kwargs)
        self.release_unschedulable()

    @property
    def own_queue(self) -> str:
        return f"host:{self.name}"

    @property
    def served_queues(self) -> list[str]:
        return [*self.queues, self.own_queue]

    def clean(self) -> None:
        """The executor exists and accepts the options; ``ValidationError`` names the field and the option."""
        errors = self._executor_problems()
        if not isinstance(self.queues, list):
            errors["queues"] = [_('Give a list of names: ["default"].')]
        else:
            errors["queues"] = [problem for queue in self.queues for problem in queue_problems(queue)]
        if any(errors.values()):
            raise ValidationError({field: problems for field, problems in errors.items() if problems})

    def _executor_problems(self) -> dict[str, Any]:
        if not isinstance(self.options, dict):
            return {"options": [_('Give an object: {"base_url": "..."}.')]}
        try:
            executor = executor_class(self.executor_type)
            executor.validate_options(self.options)
        except ConfigurationError as error:
            return {"executor_type": [str(error)]}
        except ValidationError as error:
            return {"options": error.messages}
        if executor.is_node_bound(self.options) and not self.node:
            return {"node": [NEEDS_NODE]}
        return {}

    def release_unschedulable(self, queues: Iterable[str] | None = None) -> int:
        """Jobs of its queues that fitted no host are ready again, to be judged anew."""
        jobs = self._meta.apps.get_model("container_manager", "ContainerJob")._default_manager.using(self._state.db)
        return jobs.filter(queue__in=queues or self.served_queues, status="queued", hold="unschedulable").update(
            hold=when_due(), hold_reason=""
        )
