"""A backend of Django Tasks: ``"BACKEND": "container_manager.task_backend.ContainerTaskBackend"`` in ``TASKS``."""

from container_manager.task_backend.backend import ContainerTaskBackend

__all__ = ["ContainerTaskBackend"]
