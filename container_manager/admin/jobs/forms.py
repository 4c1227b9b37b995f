"""The forms of a job: a new one, a copy of one, a change to one, and what goes with a definition's own form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS

from container_manager import conf
from container_manager.admin.jobs.fields import CommandField, MomentField, PairsField, unmasked
from container_manager.models import ContainerJob
from container_manager.states import PRIORITY_HIGHEST, PRIORITY_LOWEST

FIELDSETS: Final[tuple[tuple[str | None, Any], ...]] = (
    (None, {"fields": ("name", "image", "command", "shell", "entrypoint")}),
    ("Environment", {"fields": ("environment", "environment_template", "working_directory", "user")}),
    ("Where and when", {"fields": ("queue", "priority", "scheduled_for", "network", "gpus", "labels")}),
    ("Limits", {"fields": ("memory_limit", "cpu_limit", "timeout_seconds", "queue_timeout_seconds")}),
    ("Trying again", {"fields": ("max_retries", "retry_policy", "on_lost")}),
)
COPIED: Final = ("secrets", "definition", "parameters", "tenant")
"""What a copy takes over and no form shows."""


class JobForm(forms.ModelForm):
    """``source``: the job that is changed or copied; values of it that are masked stay as they are."""

    source: ClassVar[ContainerJob | None] = None

    command = CommandField(
        required=False, help_text="As you would type it; no shell reads it unless you say so. Empty = the image's own."
    )
    entrypoint = CommandField(required=False, help_text="Instead of the image's own.")
    environment = PairsField(required=False, help_text="One NAME=value a line, over the template's. No secrets.")
    labels = PairsField(required=False, help_text="One NAME=value a line; kept on the container too.")
    scheduled_for = MomentField(required=False, help_text="Not before this moment.")
    retry_policy = forms.ChoiceField(required=False)

    class Meta:
        model = ContainerJob
        fields = [name for _, options in FIELDSETS for name in options["fields"]]
        labels = {"cpu_limit": "CPU limit", "gpus": "GPUs"}

    def __init__(self, *arguments: Any, **options: Any) -> None:
        source = self.source
        if source is not None and options.get("instance") is None and not arguments:
            copied = {name: getattr(source, name) for name in self._meta.fields or () if name != "scheduled_for"}
            options["initial"] = {**copied, **(options.get("initial") or {})}
        super().__init__(*arguments, **options)
        policies = sorted(name for name in conf.retry_policies() if name)
        self.fields["retry_policy"].choices = [("", "default"), *((name, name) for name in policies)]  # type: ignore[attr-defined]

    def clean_environment(self) -> dict[str, Any]:
        return unmasked(self.cleaned_data["environment"] or {}, self.source.environment if self.source else {})

    def clean_labels(self) -> dict[str, Any]:
        return unmasked(self.cleaned_data["labels"] or {}, self.source.labels if self.source else {})

    def add_error(self, field: str | None, error: Any) -> None:
        """An error of a field that the form does not show is the form's."""
        messages: Mapping[str, Iterable[Any]] = getattr(error, "error_dict", {})
        if any(name not in self.fields and name != NON_FIELD_ERRORS for name in messages):
            for name, problems in messages.items():
                super().add_error(name if name in self.fields else None, list(problems))
            return
        super().add_error(field, error)


class LaunchForm(forms.Form):
    """What goes with each definition's own parameters. Its names are no parameter's."""

    prefix = "launch"

    priority = forms.IntegerField(min_value=PRIORITY_LOWEST, max_value=PRIORITY_HIGHEST)
    schedule_for = MomentField(required=False, label="Not before", help_text="Empty = now.")
