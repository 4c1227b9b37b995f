"""
Every error this package raises on purpose.

    ContainerManagerError
    ├── ConfigurationError          (also ImproperlyConfigured)
    ├── QueueError
    │   ├── JobAlreadyQueuedError   (also ValueError)
    │   ├── JobNotQueuedError       (also ValueError)
    │   ├── DuplicateJobError       (also ValueError)
    │   ├── JobNotQueueableError    (also ValueError)
    │   ├── JobActiveError          (also ValueError)
    │   ├── JobNotFoundError        (also ValueError)
    │   ├── JobValidationError      (also ValidationError, ValueError)
    │   │   └── DefinitionNotFoundError
    │   ├── InvalidTransitionError  (also ValueError)
    │   ├── JobFailedError
    │   ├── JobWaitTimeoutError     (also TimeoutError)
    │   └── QueueCapacityError
    ├── HandlerError
    │   ├── HandlerTimeoutError
    │   └── WebhookRefusedError
    └── ExecutorError               transient: bool, outcome: Outcome
        ├── ExecutorUnavailableError
        ├── ImagePullError
        ├── ImageNotFoundError
        ├── SpecificationError
        ├── InputFileError
        ├── OutputFileError
        ├── StorageUnavailableError
        ├── SecretError
        ├── ExecutionNotFoundError
        ├── ExecutionRunningError
        └── NameConflictError

Retry rules read ``transient`` and ``outcome``, never the text of a message.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from django.core.exceptions import ImproperlyConfigured, ValidationError

from container_manager.states import Outcome


class ContainerManagerError(Exception):
    """The base of every error of this package."""


class ConfigurationError(ContainerManagerError, ImproperlyConfigured):
    """A setting or a host's options are wrong; the message names which and the fix."""


class QueueError(ContainerManagerError):
    """A queue operation was refused. Nothing was changed."""


class JobAlreadyQueuedError(QueueError, ValueError):
    """The job is in the queue, or being run, already."""


class JobNotQueuedError(QueueError, ValueError):
    """The job is not in the queue, so it cannot be taken out of it."""


class DuplicateJobError(QueueError, ValueError):
    """
    Another unfinished job holds the ``unique_key``.

    ``key`` is the key, ``holder`` that job as its row was.
    """

    def __init__(self, key: str, holder: Any) -> None:
        self.key, self.holder = key, holder
        super().__init__(
            f"Job {holder.pk} holds the key {key!r} and is {holder.status}: wait for its end, cancel it, or queue "
            "with on_conflict='return' or 'replace'."
        )


class JobNotQueueableError(QueueError, ValueError):
    """The job has ended for good: a completed or a cancelled job is not queued again; clone it."""


class JobActiveError(QueueError, ValueError):
    """The job is launching or running, and what was asked would leave its container without an owner."""


class JobNotFoundError(QueueError, ValueError):
    """No such job in the database."""


class JobValidationError(QueueError, ValidationError, ValueError):
    """The job's specification is wrong; ``message_dict`` has one list of messages per field."""

    def __init__(self, message: Any, code: str | None = None, params: Any = None) -> None:
        ValidationError.__init__(self, message, code, params)


class DefinitionNotFoundError(JobValidationError):
    """There is no job definition of that name, or not any more."""


class InvalidTransitionError(QueueError, ValueError):
    """The job is not in a status from which this move is allowed; another process may have moved it first."""

    def __init__(self, job_id: object, source: str, target: str, hint: str = "") -> None:
        self.job_id, self.source, self.target = job_id, source, target
        message = f"Job {job_id} cannot go from {source} to {target}."
        super().__init__(f"{message} {hint}" if hint else message)


class JobFailedError(QueueError):
    """A job that was waited for ended, and not well. Carries how."""

    def __init__(self, job_id: object, status: str, exit_code: int | None, outcome: str, output: str) -> None:
        self.job_id, self.status, self.exit_code, self.outcome, self.output = job_id, status, exit_code, outcome, output
        message = f"Job {job_id} is {status}: outcome {outcome or 'unknown'}, exit code {exit_code}."
        super().__init__(f"{message} Its last lines:\n{output}" if output else message)


class JobWaitTimeoutError(QueueError, TimeoutError):
    """A job that was waited for had not ended in time. It goes on."""


class QueueCapacityError(QueueError):
    """The queue would grow past ``MAX_QUEUE_DEPTH``."""


class HandlerError(ContainerManagerError):
    """A handler could not be called. ``is_final`` says that trying again cannot help."""

    is_final: bool = False


class HandlerTimeoutError(HandlerError):
    """A handler ran longer than ``HANDLER_TIMEOUT`` and was interrupted."""


class WebhookRefusedError(HandlerError):
    """A webhook's receiver answered otherwise than 2xx."""

    def __init__(self, url: str, status: int, answer: str) -> None:
        self.url, self.status, self.is_final = url, status, status == HTTPStatus.GONE
        what = "is a redirect, and none is followed" if 300 <= status < 400 else "is no success"
        super().__init__(f"{url} answered {status}, which {what}. {answer}".rstrip())


class ExecutorError(ContainerManagerError):
    """An executor could not do what it was asked. ``transient`` says whether trying again can help."""

    transient: bool = True
    outcome: Outcome = Outcome.INFRA_ERROR


class ExecutorUnavailableError(ExecutorError):
    """The engine does not answer, or not in time. Says nothing about any execution."""


class ImagePullError(ExecutorError):
    """An image could not be pulled just now: the registry, the network or a rate limit."""

    outcome = Outcome.IMAGE_ERROR


class ImageNotFoundError(ExecutorError):
    """The image does not exist or may not be pulled; trying again will not help."""

    transient = False
    outcome = Outcome.IMAGE_ERROR


class SpecificationError(ExecutorError):
    """The engine refuses this specification: a program that does not exist, a limit out of range."""

    transient = False
    outcome = Outcome.CONFIG_ERROR


class InputFileError(ExecutorError):
    """An input file is missing, has changed or is larger than its host takes; trying again will not help."""

    transient = False
    outcome = Outcome.CONFIG_ERROR


class OutputFileError(ExecutorError):
    """A file that a job left behind cannot be taken: too large, or not what it has to be."""

    transient = False
    outcome = Outcome.OUTPUT_ERROR


class StorageUnavailableError(ExecutorError):
    """A storage does not answer, or not in time. Says nothing about the files in it."""


class SecretError(ExecutorError):
    """A secret's reference leads to nothing. The message names the reference, never a value."""

    transient = False
    outcome = Outcome.CONFIG_ERROR


class ExecutionNotFoundError(ExecutorError):
    """No execution of that name on this engine. Asked by a healthy engine, that is an answer."""


class ExecutionRunningError(ExecutorError):
    """The execution runs, so it cannot be removed."""


class NameConflictError(ExecutorError):
    """Something else has the execution's name: its labels are not ours. It is left alone."""

    transient = False
    outcome = Outcome.CONFIG_ERROR
