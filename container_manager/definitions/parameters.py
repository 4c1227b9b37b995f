"""Parameters as a caller gives them, judged by their form fields and made fit for the row."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.core.serializers.json import DjangoJSONEncoder

from container_manager.exceptions import JobValidationError

Fields = Mapping[str, forms.Field]


def clean(
    fields: Fields, given: Mapping[str, Any], together: Callable[[dict[str, Any]], dict[str, Any]]
) -> dict[str, Any]:
    """
    The values of all ``fields`` as Python objects; what was not given is the field's ``initial``.

    ``together`` judges them as a whole. ``JobValidationError`` has one list of messages per parameter.
    """
    problems: dict[str, list[str]] = {name: [_unknown(name, fields)] for name in given if name not in fields}
    cleaned: dict[str, Any] = {}
    for name, field in fields.items():
        try:
            cleaned[name] = field.clean(given[name] if name in given else _initial(field))
        except ValidationError as error:
            problems[name] = error.messages
    if not problems:
        try:
            return together(cleaned)
        except ValidationError as error:
            problems = error.message_dict if hasattr(error, "error_dict") else {NON_FIELD_ERRORS: error.messages}
    raise JobValidationError(problems)


def stored(fields: Fields, cleaned: Mapping[str, Any]) -> dict[str, Any]:
    """``cleaned`` as JSON, which the same fields accept again: a model's object is its primary key."""
    values = {name: fields[name].prepare_value(value) for name, value in cleaned.items() if name in fields}
    as_json: dict[str, Any] = json.loads(json.dumps(values, cls=_Encoder))
    return as_json


class _Encoder(DjangoJSONEncoder):
    def default(self, value: Any) -> Any:
        return list(value) if hasattr(value, "__iter__") else super().default(value)


def _initial(field: forms.Field) -> Any:
    return field.initial() if callable(field.initial) else field.initial


def _unknown(name: str, fields: Fields) -> str:
    near = get_close_matches(name, fields, n=1)
    hint = f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(fields) or 'none'}."
    return f"There is no parameter {name!r}. {hint}"
