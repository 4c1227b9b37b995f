"""The Docker engine as an executor. Needs the extra ``docker``; nothing else of the package imports it."""

from container_manager.executors.docker.executor import DockerExecutor

__all__ = ["DockerExecutor"]
