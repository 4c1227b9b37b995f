"""
Job definitions: a job's command, limits and typed parameters, declared once in an app's ``container_jobs.py``.

``definition.py`` is the class to inherit from; ``declaring.py`` reads its body; ``files.py`` has the files that a
job is given and leaves behind.
"""

from container_manager.definitions.definition import JobDefinition
from container_manager.definitions.discovery import autodiscover
from container_manager.definitions.files import InputFile, OutputFile
from container_manager.registry import all_definitions, find

__all__ = ["InputFile", "JobDefinition", "OutputFile", "all_definitions", "autodiscover", "find"]
