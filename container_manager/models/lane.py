"""How many jobs of a tenant, a definition or a batch are on their way, and which."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class Lane(models.Model):
    """
    The number of places that are taken in one limit, moved only under one lock, with its ``Place`` rows.

    Its key is a digest of ``name``: databases disagree on whether names differ in case.
    """

    id = models.CharField(primary_key=True, max_length=64, editable=False)
    name = models.CharField(max_length=400, help_text=_("tenant:NAME, definition:NAME, batch:ID, turn:QUEUE:TENANT."))
    running = models.IntegerField(default=0, help_text=_("Ready, launching and running jobs."))

    served_at = models.DateTimeField(null=True, blank=True, help_text=_("When the last place was given back."))

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return f"{self.name}: {self.running}"


class Place(models.Model):
    """
    A limited job that counts in its lanes: one that is ready, launching or running.

    Whoever moves a job need not think of it: a place whose job is neither any more is given
    back by the next worker that looks. ``lanes`` are the names that were counted.
    """

    job = models.OneToOneField(
        "container_manager.ContainerJob",
        on_delete=models.DO_NOTHING,
        primary_key=True,
        db_constraint=False,
        related_name="place",
    )
    queue = models.CharField(max_length=64)
    tenant = models.CharField(max_length=100, blank=True, default="")
    lanes = models.JSONField(default=list)

    def __str__(self) -> str:
        return f"place of job {self.job_id}"
