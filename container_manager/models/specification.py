"""What a job runs: the columns that describe it, and what is wrong with them."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from django.core.validators import MinValueValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from container_manager import conf, validation
from container_manager.models.environment import EnvironmentTemplate
from container_manager.states import PRIORITY_HIGHEST, PRIORITY_LOWEST, OnLost

_TEXTS: Final = {
    "name": 200, "image": 500, "working_directory": 500, "user": 100, "network": 100, "gpus": 100, "retry_policy": 50,
    "tenant": 100,
}  # fmt: skip
"""How long each may be on every database."""
_ON_LOST: Final = tuple(OnLost.values)


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
    file_plan = models.JSONField(
        default=dict,
        blank=True,
        editable=False,
        help_text=_("Its inputs, each with storage, name and path; its outputs, each with storage, path and required."),
    )
    tenant = models.CharField(max_length=100, blank=True, default="", editable=False)
    unique_key = models.CharField(max_length=200, null=True, blank=True, editable=False)  # noqa: DJ001 - none is no key

    class Meta:
        abstract = True

    if TYPE_CHECKING:  # the job's own columns, judged together with these
        priority: int
        max_retries: int
        retry_policy: str
        on_lost: str
        scheduled_for: datetime | None

    def specification_problems(self) -> dict[str, list[str]]:
        """Every field that is wrong, with what to do; empty = all is well. No query is made."""
        problems: defaultdict[str, list[str]] = defaultdict(list)
        problems["command"] += validation.command_problems(self.command)
        problems["entrypoint"] += validation.command_problems(self.entrypoint)
        problems["environment"] += validation.environment_problems(self.environment)
        problems["secrets"] += validation.secret_problems(self.secrets)
        problems["image"] += validation.image_problems(self.image or conf.get("DEFAULT_IMAGE"), conf.get("IMAGES"))
        problems["labels"] += validation.label_problems(self.labels)
        problems["queue"] += validation.queue_problems(self.queue)
        for field, longest in _TEXTS.items():
            if (text := getattr(self, field)) != "":
                problems[field] += validation.text_problems(text, longest)
        if self.unique_key is not None:
            problems["unique_key"] += validation.text_problems(self.unique_key, 200)
            if self.unique_key == "":
                problems["unique_key"].append("Give a key, or None for a job that may have others like it.")
        if not self.command and not self.entrypoint and not self.image:
            problems["command"].append("Give a command, or an image whose own command is to run.")
        if self.shell and not isinstance(self.command, str):
            problems["command"].append("With shell=True the command is one string; a list needs no shell.")
        self._add_choice_problems(problems)
        self._add_number_problems(problems)
        moment: Any = self.scheduled_for
        if moment is not None and (not isinstance(moment, datetime) or timezone.is_naive(moment)):
            problems["scheduled_for"].append("Give an aware datetime: django.utils.timezone.make_aware(...).")
        return {field: messages for field, messages in problems.items() if messages}

    def _add_choice_problems(self, problems: defaultdict[str, list[str]]) -> None:
        if self.shell not in (True, False):
            problems["shell"].append("Give True or False.")
        if self.on_lost not in _ON_LOST:
            problems["on_lost"].append(f"Give one of {', '.join(_ON_LOST)}.")
        if self.retry_policy and not problems["retry_policy"] and self.retry_policy not in conf.retry_policies():
            known = ", ".join(sorted(name for name in conf.retry_policies() if name))
            problems["retry_policy"].append(f"There is no retry policy {self.retry_policy!r}. Known: {known}.")

    def _add_number_problems(self, problems: defaultdict[str, list[str]]) -> None:
        for field in ("memory_limit", "timeout_seconds", "queue_timeout_seconds"):
            if (value := getattr(self, field)) is not None:
                problems[field] += validation.whole_number_problems(value, 1)
        if self.cpu_limit is not None:
            problems["cpu_limit"] += validation.cores_problems(self.cpu_limit)
        problems["priority"] += validation.whole_number_problems(self.priority, PRIORITY_LOWEST, PRIORITY_HIGHEST)
        problems["max_retries"] += validation.whole_number_problems(self.max_retries, 0)
