"""Docker and Podman as executors. Needs the extra ``docker``; nothing else of the package imports it."""

from container_manager.executors.docker.executor import DockerExecutor, PodmanExecutor

__all__ = ["DockerExecutor", "PodmanExecutor"]
