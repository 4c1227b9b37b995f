"""Reusable environments: variables that many jobs share."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _

from container_manager.validation import environment_problems


class EnvironmentTemplate(models.Model):
    """Environment variables under a name; a job's own variables override them."""

    name = models.CharField(max_length=100, unique=True)
    description = models.TextField(blank=True, default="")
    environment = models.JSONField(
        default=dict,
        blank=True,
        help_text=_('Variables as an object: {"LANG": "C.UTF-8"}. No secrets: rows are readable.'),
    )

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        problems = environment_problems(self.environment)
        if problems:
            raise ValidationError({"environment": problems})
