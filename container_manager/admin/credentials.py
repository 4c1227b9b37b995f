"""A word to whoever saves a credential as a plain value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.http import HttpRequest

from container_manager.credentials import ADVICE, credentials_in


def warn_of_credentials(request: HttpRequest, environment: Mapping[str, Any]) -> None:
    """The next page says which of the variables look like credentials, if any."""
    if names := credentials_in(environment):
        messages.warning(request, f"{', '.join(names)}: looks like a credential. {ADVICE}")
