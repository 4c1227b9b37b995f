"""Jobs as local processes: the embedded executor for development. It isolates nothing."""

from container_manager.executors.process.executor import ProcessExecutor

__all__ = ["ProcessExecutor"]
