"""What users upload."""

from __future__ import annotations

from django.db import models


class Upload(models.Model):
    file = models.FileField(upload_to="uploads/")
    state = models.CharField(max_length=20, default="new")
    entries = models.IntegerField(null=True)

    def __str__(self) -> str:
        return self.file.name or "nothing"
