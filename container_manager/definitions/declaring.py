"""The body of a definition's class, read once: its options, its parameters, and what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Final

from django import forms

from container_manager import registry
from container_manager.definitions import placeholders
from container_manager.definitions.files import OutputFile
from container_manager.exceptions import ConfigurationError
from container_manager.validation import argument_list, command_problems, environment_problems

OPTIONS: Final = frozenset({
    "image", "command", "entrypoint", "shell", "environment", "environment_template", "working_directory",
    "memory_limit", "cpu_limit", "timeout_seconds", "queue_timeout_seconds", "labels", "queue", "user", "network",
    "gpus", "secrets", "priority", "max_retries", "retry_policy", "on_lost",
})  # fmt: skip
"""What a definition says of its jobs: columns of ``ContainerJob``."""
ARGUMENTS: Final = frozenset({
    "name", "schedule_for", "priority", "tenant", "unique_key", "on_conflict", "max_running", "on_complete", "using",
})  # fmt: skip
"""Arguments of ``queue``, ``build`` and their bulk forms, which no parameter can be called."""


class DefinitionType(type):
    """
    The class of definitions: options, form fields and output files leave the body for attributes of these names.

    They are inherited one by one. So ``queue = "media"`` is an option, and ``queue()`` stays a method.
    """

    name: str
    options: Mapping[str, Any]
    fields: Mapping[str, forms.Field]
    outputs: Mapping[str, OutputFile]

    def __new__(mcs, class_name: str, bases: tuple[type, ...], body: dict[str, Any]) -> DefinitionType:
        is_base = not any(isinstance(base, DefinitionType) for base in bases)
        if is_base:
            return super().__new__(mcs, class_name, bases, {**body, "options": {}, "fields": {}, "outputs": {}})
        is_abstract = body.pop("abstract", False)
        fields = {name: body.pop(name) for name in list(body) if isinstance(body[name], forms.Field)}
        outputs = {name: body.pop(name) for name in list(body) if isinstance(body[name], OutputFile)}
        options = {name: body.pop(name) for name in list(body) if name in OPTIONS}
        body.setdefault("name", _snake_case(class_name))
        definition = super().__new__(mcs, class_name, bases, body)
        parents = [parent for parent in reversed(definition.__mro__[1:]) if isinstance(parent, DefinitionType)]
        definition.options = {name: value for parent in parents for name, value in parent.options.items()} | options
        definition.fields = {name: field for parent in parents for name, field in parent.fields.items()} | fields
        definition.outputs = {name: output for parent in parents for name, output in parent.outputs.items()} | outputs
        problems = [*_body_problems(body), *_field_problems(fields, outputs), *_option_problems(definition)]
        if problems:
            raise ConfigurationError(f"The job definition {definition.__qualname__}: {' '.join(problems)}")
        if not is_abstract:
            registry.register(definition.name, definition)
        return definition


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def _body_problems(body: Mapping[str, Any]) -> Iterator[str]:
    """A misspelt option is not left unheard: constants are upper-case or begin with an underscore."""
    for name, value in body.items():
        is_free = name.startswith("_") or name.isupper() or callable(value) or hasattr(value, "__get__")
        if name == "name" or is_free:
            continue
        near = get_close_matches(name, OPTIONS, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"Options are {', '.join(sorted(OPTIONS))}."
        yield f"{name!r} is neither an option nor a form field. {hint}"
    if not isinstance(body["name"], str) or not re.fullmatch(r"[A-Za-z][\w.-]{0,199}", body["name"]):
        yield f"{body['name']!r} is not a name: a letter, then letters, digits, '_', '.' or '-', 200 in all."


def _field_problems(fields: Mapping[str, forms.Field], outputs: Mapping[str, OutputFile]) -> Iterator[str]:
    for output in outputs.values():
        yield from output.problems()
    for name in (*fields, *outputs):
        if name in ARGUMENTS:
            yield f"A parameter cannot be called {name!r}, an argument of queue(); rename it."


def _option_problems(definition: DefinitionType) -> Iterator[str]:
    options = definition.options
    texts: list[str] = []
    for name in ("command", "entrypoint"):
        problems = command_problems(options.get(name, ""))
        yield from (f"{name}: {problem}" for problem in problems)
        texts += [] if problems else argument_list(options.get(name, ""))
    problems = environment_problems(options.get("environment", {}))
    yield from (f"environment: {problem}" for problem in problems)
    texts += [] if problems else options.get("environment", {}).values()
    if options.get("shell") and list(placeholders.names_in([options["command"]])):
        yield "A shell would read what a placeholder stands for; pass it in the environment: {'HEIGHT': '{height}'}."
    for name in dict.fromkeys(placeholders.names_in(texts)):
        if name not in definition.fields and name not in definition.outputs:
            known = ", ".join([*definition.fields, *definition.outputs]) or "none"
            yield f"{{{name}}} is not a parameter; parameters are: {known}. Write {{{{{name}}}}} for the text itself."
