"""Environment values that are probably passwords, tokens or keys: a row keeps them in the clear, a secret does not."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

logger = logging.getLogger(__name__)

ADVICE: Final = (
    "Its value is kept in the database, and in its backups, as it is. Hand it over as a secret, which is a reference: "
    'secrets={"NAME": {"reference": "env:NAME", "as": "environment"}}, or as a file. See docs/files.md, "Secrets".'
)
_NAME: Final = re.compile(
    r"passw(or)?d|passphrase|secret|token(?!i[sz]|s(_|$))|credential|(api|private|access|signing|encryption)_?key"
    r"|(^|_)(auth|authorization)$",
    re.IGNORECASE,
)
_VALUE: Final = re.compile(
    r"[a-z][a-z0-9+.-]*://[^/\s:@]*:[^/\s@]+@|-----BEGIN [A-Z ]*PRIVATE KEY"
    r"|\b(AKIA|ASIA)[0-9A-Z]{16}\b|\bgh[opsu]_\w{30}"
)
"""An address with a password in it, a private key, and tokens that say themselves what they are."""
_PLACE: Final = re.compile(r"(\$\(|/|https?://[^@]*$)")
_SWITCHES: Final = frozenset({"", "0", "1", "true", "false", "yes", "no", "on", "off", "none", "null"})
_MOST_REMEMBERED: Final = 1_000
_told: set[tuple[str, str]] = set()


def looks_like_credential(name: str, value: str) -> bool:
    """
    Whether a variable of this name with this value is probably a password, a token or a key.

    A path, such as that of a secret's file, is none, nor is an address without a password, nor a switch.
    """
    if _VALUE.search(value):
        return True
    return bool(_NAME.search(name)) and value.lower() not in _SWITCHES and not _PLACE.match(value)


def credentials_in(environment: Mapping[str, Any]) -> list[str]:
    """The names of those variables that look like credentials; those that are no text are left out."""
    return [
        name for name, value in environment.items() if isinstance(value, str) and looks_like_credential(name, value)
    ]


def untold(definition: str, environment: Mapping[str, Any]) -> list[str]:
    """Those of ``credentials_in`` that this process has not been told of for ``definition``; now it has."""
    names = [name for name in credentials_in(environment) if (definition, name) not in _told]
    if len(_told) > _MOST_REMEMBERED:
        _told.clear()
    _told.update((definition, name) for name in names)
    return names


def warn_of(jobs: Iterable[Any]) -> None:
    """The log says which variables of ``jobs`` look like credentials, each once in a process, and never a value."""
    for job in jobs:
        for name in untold(job.definition, job.environment) if job.environment else ():
            logger.warning("the variable %s looks like a credential. %s", name, ADVICE, extra={"job": str(job.pk)})
