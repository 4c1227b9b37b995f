"""Found automatically."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError

from container_manager.definitions import JobDefinition


class MakeThumbnail(JobDefinition):
    """Stands for a tool that draws a picture: it prints its arguments, one a line."""

    image = "busybox:local"
    command = ["printf", "%s\\n", "{width}x{height}", "--title={title}", "{{height}}"]
    environment = {"TITLE": "<{title}>", "MODE": "fast"}
    queue: ClassVar[Any] = "media"
    memory_limit, timeout_seconds, network = 64, 600, "none"
    labels = {"team": "video"}

    width = forms.IntegerField(min_value=16, max_value=4096)
    height = forms.IntegerField(min_value=16, max_value=2160, initial=720)
    title = forms.CharField(required=False, max_length=50)

    @classmethod
    def clean(cls, parameters: dict[str, Any]) -> dict[str, Any]:
        if parameters["width"] < parameters["height"] // 10:
            raise ValidationError({"width": "That is too narrow for its height."})
        return parameters
