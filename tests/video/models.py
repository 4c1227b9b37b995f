"""What users upload."""

from __future__ import annotations

from django.db import models


class Upload(models.Model):
    file = models.FileField(upload_to="uploads/")

    def __str__(self) -> str:
        return self.file.name or "nothing"
