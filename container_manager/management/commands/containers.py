"""``manage.py containers``: the command line of the queue."""

from container_manager.management.command import Command

__all__ = ["Command"]
