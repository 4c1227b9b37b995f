"""
Where a job meets an executor. Nothing else knows both.

``job_service.launch_job`` makes a claimed job's execution and starts it. What becomes of the
row afterwards is recorded by the caller: the queue manager or a worker.
"""

from container_manager.services.callers import OpenTransactionError, caller, record_launch
from container_manager.services.executions import executor_for
from container_manager.services.launching import JobService, LaunchResult, job_service

__all__ = [
    "JobService",
    "LaunchResult",
    "OpenTransactionError",
    "caller",
    "executor_for",
    "job_service",
    "record_launch",
]
