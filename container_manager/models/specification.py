"""What a job runs: the columns that describe it, and what is wrong with them."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.core.validators import MinValueValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from container_manager import conf, validation
from container_manager.models.environment import EnvironmentTemplate
from container_manager.states import PRIORITY_HIGHEST, PRIORITY_LOWEST


class Specification(models.Model):
    """The part of a job that its author writes."""

    name = models.CharField(max_length=200, blank=True, default="")
    image = models.CharField(max_length=500, blank=True, default="", help_text=_("Empty = the setting DEFAULT_IMAGE."))
    command = models.JSONField(
        default=str,
        blank=True,
        help_text=_('A string, split as a shell would and never given to one, or a list: ["echo", "a b"].'),
    )
    entrypoint = models.JSONField(
        default=str, blank=True, help_text=_("Instead of the image's own; a string or a list.")
    )
    shell = models.BooleanField(default=False, help_text=_("Give the command, a string, to /bin/sh -c."))
    environment = models.JSONField(default=dict, blank=True, help_text=_('{"NAME": "value"}, over the template\'s.'))
    environment_template = models.ForeignKey(EnvironmentTemplate, on_delete=models.PROTECT, null=True, blank=True)
    working_directory = models.CharField(max_length=500, blank=True, default="")
    memory_limit = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1)], help_text=_("MiB.")
    )
    cpu_limit = models.FloatField(null=True, blank=True, validators=[MinValueValidator(0.01)], help_text=_("Cores."))
    timeout_seconds = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1)], help_text=_("From the start; empty = no limit.")
    )
    queue_timeout_seconds = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text=_("Failed when it has not been claimed so long after it was queued or due; empty = it waits."),
    )
    labels = models.JSONField(default=dict, blank=True, help_text=_('{"team": "video"}; kept on the container too.'))
    queue = models.CharField(
        max_length=64, default="default", help_text=_("Hosts serve queues; host:NAME pins to a host.")
    )
    user = models.CharField(max_length=100, blank=True, default="")
    network = models.CharField(max_length=100, blank=True, default="")
    gpus = models.CharField(max_length=100, blank=True, default="")
    secrets = models.JSONField(default=dict, blank=True, editable=False)
    definition = models.CharField(max_length=200, blank=True, default="", editable=False)
    parameters = models.JSONField(default=dict, blank=True, editable=False)
    tenant = models.CharField(max_length=100, blank=True, default="", editable=False)
    unique_key = models.CharField(max_length=200, null=True, blank=True, unique=True, editable=False)

    class Meta:
        abstract = True

    if TYPE_CHECKING:  # the job's own columns, judged together with these
        priority: int
        max_retries: int
        retry_policy: str
        scheduled_for: datetime | None

    def specification_problems(self) -> dict[str, list[str]]:
        """Every field that is wrong, with what to do; empty = all is well. No query is made."""
        problems: defaultdict[str, list[str]] = defaultdict(list)
        problems["command"] += validation.command_problems(self.command)
        problems["entrypoint"] += validation.command_problems(self.entrypoint)
        problems["environment"] += validation.environment_problems(self.environment)
        problems["labels"] += validation.label_problems(self.labels)
        problems["queue"] += validation.queue_problems(self.queue)
        for field in ("name", "image", "working_directory", "user", "network", "gpus"):
            problems[field] += validation.text_problems(getattr(self, field))
        if not self.command and not self.entrypoint and not self.image:
            problems["command"].append("Give a command, or an image whose own command is to run.")
        if self.shell and not isinstance(self.command, str):
            problems["command"].append("With shell=True the command is one string; a list needs no shell.")
        if self.retry_policy not in conf.retry_policies():
            known = ", ".join(sorted(name for name in conf.retry_policies() if name))
            problems["retry_policy"].append(f"There is no retry policy {self.retry_policy!r}. Known: {known}.")
        for field in ("memory_limit", "cpu_limit", "timeout_seconds", "queue_timeout_seconds"):
            value = getattr(self, field)
            if value is not None and not (isinstance(value, int | float) and value > 0):
                problems[field].append("Give a number above 0, or leave it empty.")
        problems["priority"] += _whole_number_problems(self.priority, PRIORITY_LOWEST, PRIORITY_HIGHEST)
        problems["max_retries"] += _whole_number_problems(self.max_retries, 0, None)
        if self.scheduled_for is not None and timezone.is_naive(self.scheduled_for):
            problems["scheduled_for"].append("Give an aware datetime: django.utils.timezone.make_aware(...).")
        return {field: messages for field, messages in problems.items() if messages}


def _whole_number_problems(value: Any, lowest: int, highest: int | None) -> list[str]:
    if (
        isinstance(value, int)
        and not isinstance(value, bool)
        and value >= lowest
        and (highest is None or value <= highest)
    ):
        return []
    return [f"Give a whole number from {lowest}" + (f" to {highest}." if highest is not None else " up.")]
