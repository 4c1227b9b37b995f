"""What a verb of the command line is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from django.core.management.base import BaseCommand, CommandParser


class Verb(ABC):
    """One verb: data to standard output, messages to standard error, an exit code."""

    name: ClassVar[str]
    help: ClassVar[str]

    def add_arguments(self, parser: CommandParser) -> None:  # noqa: B027 - most verbs have none
        """The verb's own arguments are declared on ``parser``."""

    @abstractmethod
    def run(self, command: BaseCommand, options: Mapping[str, Any]) -> int:
        """The verb was carried out; returns the exit code."""
