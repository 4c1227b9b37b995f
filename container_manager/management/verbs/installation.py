"""``containers installation``: which installation this database is, and what a restored copy of it becomes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from container_manager.management import exits
from container_manager.management.arguments import add_json
from container_manager.management.rendering import note, print_json
from container_manager.management.verbs.base import Verb
from container_manager.models import Installation
from container_manager.queue import queue_manager
from container_manager.services.copies import become_copy, become_original


class InstallationVerb(Verb):
    name = "installation"
    help = "Show this installation's id, or say what a database that was moved or copied is."

    def add_arguments(self, parser: CommandParser) -> None:
        choice = parser.add_mutually_exclusive_group()
        choice.add_argument(
            "--original", action="store_true", help="This is the original, moved here: its containers are its own."
        )
        choice.add_argument(
            "--copy",
            action="store_true",
            help="This is a copy: it gets an id of its own; what was running is lost to it.",
        )
        add_json(parser)

    def run(self, command: BaseCommand, options: Mapping[str, Any]) -> int:
        using = queue_manager.using
        if options["original"]:
            become_original(using)
        if options["copy"]:
            lost = become_copy(using)
            note(command, f"{lost} attempts were the original's; here they are lost.")
        row = Installation.current(using)
        is_in_place = row.is_in_place(using)
        if options["json"]:
            print_json(command, "installation", {"identifier": row.identifier, "is_in_place": is_in_place})
        else:
            place = "in place" if is_in_place else "a copy that has not been told what it is"
            command.stdout.write(f"{row.identifier}  {place}")
        return exits.OK
