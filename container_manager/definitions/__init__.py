"""
Job definitions: a job's command, limits and typed parameters, declared once in an app's ``container_jobs.py``.

``definition.py`` is the class to inherit from; ``declaring.py`` reads its body.
"""

from container_manager.definitions.definition import JobDefinition
from container_manager.definitions.discovery import autodiscover
from container_manager.registry import all_definitions, find

__all__ = ["JobDefinition", "all_definitions", "autodiscover", "find"]
