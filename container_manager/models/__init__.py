"""The rows. ``TABLES`` is what ``lifecycle`` is handed."""

from container_manager.models.attempt import JobAttempt
from container_manager.models.batch import BatchProgress, JobBatch
from container_manager.models.environment import EnvironmentTemplate
from container_manager.models.event import JobEvent
from container_manager.models.file import JobFile
from container_manager.models.handler_call import HandlerCall
from container_manager.models.host import ExecutorHost
from container_manager.models.idempotency import IdempotencyKey
from container_manager.models.installation import Installation
from container_manager.models.job import TABLES, ContainerJob
from container_manager.models.lane import Lane, Place
from container_manager.models.log import JobLog
from container_manager.models.rollup import MinuteRollup
from container_manager.models.worker import Worker

__all__ = [
    "TABLES",
    "BatchProgress",
    "ContainerJob",
    "EnvironmentTemplate",
    "ExecutorHost",
    "HandlerCall",
    "IdempotencyKey",
    "Installation",
    "JobAttempt",
    "JobBatch",
    "JobEvent",
    "JobFile",
    "JobLog",
    "Lane",
    "MinuteRollup",
    "Place",
    "Worker",
]
