"""A form field for each option that an executor declares, by its type and its check."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, get_type_hints

from django import forms
from django.core.exceptions import ValidationError

from container_manager.admin.jobs.fields import PairsField
from container_manager.executors.forms import OneOf, Whole
from container_manager.executors.options import Declaration, Options

PREFIX: Final = "option_"
_ACRONYMS: Final = {"url": "URL", "cpu": "CPU", "tls": "TLS", "gpu": "GPU", "pids": "PIDs"}
_CODE: Final = {"class": "vLargeTextField cm-code-input", "spellcheck": "false", "rows": 3}
_LINE: Final = {"class": "vTextField", "spellcheck": "false"}


class NamesField(forms.CharField):
    """A list of names in one line, with commas or spaces between them."""

    widget = forms.TextInput(attrs=_LINE)

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else value

    def to_python(self, value: Any) -> Any:
        return [name for name in re.split(r"[\s,]+", super().to_python(value) or "") if name]

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(list(initial or ()) != self.to_python(data))


class ObjectField(forms.JSONField):
    """JSON, where nothing is nothing."""

    widget = forms.Textarea(attrs=_CODE)

    def prepare_value(self, value: Any) -> Any:
        return super().prepare_value(value) if value else ""

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool((self.to_python(data) or None) != (initial or None))
        except ValidationError:
            return True


def option_fields(declared: type[Options]) -> dict[str, forms.Field]:
    """By ``PREFIX`` and the option's name. None is required: what is left as it is keeps the executor's default."""
    hints = get_type_hints(declared)
    return {PREFIX + known.name: _field(known, hints[known.name]) for known in declared.declarations()}


def read_options(
    declared: type[Options], cleaned: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, ValidationError]]:
    """The options that differ from their defaults, and an error for each field whose value is in a wrong form."""
    options: dict[str, Any] = {}
    problems: dict[str, ValidationError] = {}
    for known in declared.declarations():
        value = cleaned.get(PREFIX + known.name)
        default = list(known.default) if isinstance(known.default, tuple) else known.default
        if value is None or value == default:
            continue
        problem = known.check(value)
        if problem and value == "":
            continue  # emptied: as it is without being set
        if problem:
            problems[PREFIX + known.name] = ValidationError(f"It {problem}.")
        else:
            options[known.name] = value
    return options, problems


def _field(known: Declaration, hint: Any) -> forms.Field:
    words = [_ACRONYMS.get(word, word) for word in known.name.split("_")]
    label = " ".join(words)
    texts: dict[str, Any] = {
        "required": False,
        "initial": known.default,
        "label": label[0].upper() + label[1:],
        "help_text": f"{known.help[0].upper()}{known.help[1:]}.",
    }
    if isinstance(known.check, OneOf):
        return forms.ChoiceField(choices=[(choice, choice) for choice in known.check.choices], **texts)
    if isinstance(known.check, Whole):
        return forms.IntegerField(min_value=known.check.least, **texts)
    if hint is bool:
        return forms.BooleanField(**texts)
    if hint == float | None:
        return forms.FloatField(min_value=0, **texts)
    if hint is str:
        return forms.CharField(widget=forms.TextInput(attrs=_LINE), **texts)
    if hint == tuple[str, ...]:
        return NamesField(**texts)
    if hint == Mapping[str, str]:
        return PairsField(is_masked=False, **texts)
    return ObjectField(**texts)
