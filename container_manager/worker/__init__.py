"""The running loop: what turns queued rows into executions and their ends into rows."""

from container_manager.worker.loop import WorkerLoop
from container_manager.worker.options import WorkerOptions

__all__ = ["WorkerLoop", "WorkerOptions"]
