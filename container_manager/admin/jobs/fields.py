"""Form fields for what a job keeps as JSON, written as one would type it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from container_manager.admin.jobs.specification import MASK, is_secret


class CommandField(forms.CharField):
    """A command as one would type it; a list is shown quoted, which is split into the same list again."""

    widget = forms.Textarea(attrs={"rows": 2, "class": "vLargeTextField cm-code-input", "spellcheck": "false"})

    def prepare_value(self, value: Any) -> Any:
        return shlex.join(map(str, value)) if isinstance(value, list) else value

    def has_changed(self, initial: Any, data: Any) -> bool:
        return super().has_changed(self.prepare_value(initial), data)


class PairsField(forms.CharField):
    """One ``NAME=value`` a line, or a JSON object where a value has several lines. Secrets are shown masked."""

    widget = forms.Textarea(attrs={"rows": 4, "class": "vLargeTextField cm-code-input", "spellcheck": "false"})

    def __init__(self, *, is_masked: bool = True, **options: Any) -> None:
        super().__init__(**options)
        self.is_masked = is_masked

    def prepare_value(self, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        shown = {name: MASK if self.is_masked and is_secret(name) else text for name, text in value.items()}
        if any("\n" in str(text) for text in shown.values()):
            return json.dumps(shown, indent=2, ensure_ascii=False)
        return "\n".join(f"{name}={text}" for name, text in shown.items())

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value) or ""
        if text.startswith("{"):
            return _object(text)
        pairs: dict[str, str] = {}
        for number, line in enumerate(text.splitlines(), start=1):
            name, equals, rest = line.partition("=")
            if not line.strip():
                continue
            if not (name.strip() and equals):
                raise ValidationError(_("Line %(number)d is not NAME=value.") % {"number": number})
            pairs[name.strip()] = rest
        return pairs

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool(self.to_python(self.prepare_value(initial)) != self.to_python(data))
        except ValidationError:
            return True


class MomentField(forms.DateTimeField):
    """A date and time in the project's zone, by the browser's own picker: the admin's needs styles of its own."""

    widget = forms.DateTimeInput(attrs={"type": "datetime-local", "step": "1"}, format="%Y-%m-%dT%H:%M:%S")


def unmasked(values: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """``values``, with what was left masked as it was ``before``."""
    return {name: before[name] if text == MASK and name in before else text for name, text in values.items()}


def _object(text: str) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except ValueError as error:
        raise ValidationError(_("This is not a JSON object: %(error)s") % {"error": error}) from error
    if not isinstance(values, dict):
        raise ValidationError(_("This is not a JSON object."))
    return values
