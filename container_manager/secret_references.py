"""Where secrets are: references such as ``env:ACME_TOKEN``, followed only where a job is launched."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.utils.module_loading import import_string

from container_manager.exceptions import SecretError


@dataclass(frozen=True, slots=True)
class Secrets:
    """Secrets in the clear, by name: those handed over as files, and those as environment. Never shown."""

    files: Mapping[str, str] = field(default_factory=dict, repr=False)
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def values(self) -> tuple[str, ...]:
        return (*self.files.values(), *self.environment.values())


def resolve_all(secrets: Mapping[str, Any]) -> Secrets:
    """What a job's column ``secrets`` refers to. ``SecretError`` names the first that leads to nothing."""
    files: dict[str, str] = {}
    environment: dict[str, str] = {}
    for name, secret in secrets.items():
        reference = secret if isinstance(secret, str) else secret["reference"]
        is_file = _is_file(secret)
        try:
            (files if is_file else environment)[name] = resolve(reference)
        except SecretError as error:
            raise SecretError(f"The secret {name} cannot be resolved: {error}") from None
    return Secrets(files, environment)


def has_files(secrets: Mapping[str, Any]) -> bool:
    """Whether a job with these ``secrets`` is handed some of them as files."""
    return any(map(_is_file, secrets.values()))


def _is_file(secret: Any) -> bool:
    return isinstance(secret, str) or secret.get("as", "file") == "file"


def resolve(reference: str) -> str:
    """
    The secret that ``reference`` leads to: ``env:NAME``, ``file:/path``, ``setting:NAME``, or ``dotted.path:argument``.

    The last is a provider, a callable that is given the argument. A file's last line end is not part
    of it. ``SecretError`` says what to mend and holds nothing of a value.
    """
    kind, _, rest = reference.partition(":")
    value = _KINDS[kind](rest) if kind in _KINDS else _from_provider(kind, rest)
    if not isinstance(value, str) or not value or "\0" in value:
        raise SecretError(f"{reference} is not a text that is not empty and has no NUL.")
    return value


def _from_environment(name: str) -> str:
    try:
        return os.environ[name]
    except KeyError:
        raise SecretError(f"the worker's environment has no {name}. Set it where the worker is started.") from None


def _from_file(path: str) -> str:
    try:
        return Path(path).read_text().removesuffix("\n").removesuffix("\r")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SecretError(f"the worker cannot read {path}: {reason}.") from None


def _from_settings(name: str) -> Any:
    try:
        return getattr(settings, name)
    except AttributeError:
        raise SecretError(f"there is no setting {name} in the worker's settings.") from None


def _from_provider(path: str, argument: str) -> Any:
    try:
        provider: Callable[[str], Any] = import_string(path)
    except ImportError:
        raise SecretError(f"the worker cannot import the provider {path}.") from None
    try:
        return provider(argument)
    except Exception as error:  # noqa: BLE001 - whatever a provider raises; its text may hold what it must not
        raise SecretError(f"the provider {path} raised {type(error).__name__} for {argument!r}.") from None


_KINDS: Final[dict[str, Callable[[str], Any]]] = {
    "env": _from_environment,
    "file": _from_file,
    "setting": _from_settings,
}
