"""Which error is caught by what."""

from __future__ import annotations

import inspect

import pytest
from django.core.exceptions import ImproperlyConfigured, ValidationError

from container_manager import exceptions
from container_manager.exceptions import (
    ConfigurationError,
    ContainerManagerError,
    DefinitionNotFoundError,
    DuplicateJobError,
    ExecutionNotFoundError,
    ExecutionRunningError,
    ExecutorError,
    ExecutorUnavailableError,
    HandlerError,
    HandlerTimeoutError,
    ImageNotFoundError,
    ImagePullError,
    InputFileError,
    InvalidTransitionError,
    JobActiveError,
    JobAlreadyQueuedError,
    JobFailedError,
    JobNotFoundError,
    JobNotQueueableError,
    JobNotQueuedError,
    JobValidationError,
    JobWaitTimeoutError,
    NameConflictError,
    OutputFileError,
    QueueCapacityError,
    QueueError,
    SecretError,
    SpecificationError,
    StorageUnavailableError,
    WebhookRefusedError,
)
from container_manager.states import Outcome

BAD_CALLS = {
    JobAlreadyQueuedError, JobNotQueuedError, JobNotQueueableError, JobActiveError, JobNotFoundError,
    JobValidationError, InvalidTransitionError, DefinitionNotFoundError, DuplicateJobError,
}  # fmt: skip
OTHER_QUEUE_ERRORS = {JobFailedError, JobWaitTimeoutError, QueueCapacityError}
HANDLER_ERRORS = {HandlerError, HandlerTimeoutError, WebhookRefusedError}
EXECUTOR_ERRORS = {
    ExecutorUnavailableError: (True, Outcome.INFRA_ERROR),
    ImagePullError: (True, Outcome.IMAGE_ERROR),
    ImageNotFoundError: (False, Outcome.IMAGE_ERROR),
    SpecificationError: (False, Outcome.CONFIG_ERROR),
    InputFileError: (False, Outcome.CONFIG_ERROR),
    OutputFileError: (False, Outcome.OUTPUT_ERROR),
    StorageUnavailableError: (True, Outcome.INFRA_ERROR),
    SecretError: (False, Outcome.CONFIG_ERROR),
    ExecutionNotFoundError: (True, Outcome.INFRA_ERROR),
    ExecutionRunningError: (True, Outcome.INFRA_ERROR),
    NameConflictError: (False, Outcome.CONFIG_ERROR),
}


def test_every_error_has_its_place_here() -> None:
    own = {
        found for _, found in inspect.getmembers(exceptions, inspect.isclass) if found.__module__ == exceptions.__name__
    }
    bases = {ContainerManagerError, QueueError, ExecutorError, ConfigurationError}
    assert own == bases | BAD_CALLS | OTHER_QUEUE_ERRORS | HANDLER_ERRORS | set(EXECUTOR_ERRORS)


@pytest.mark.parametrize("error", sorted(BAD_CALLS, key=str))
def test_a_bad_call_is_a_queue_error_and_a_value_error(error: type[Exception]) -> None:
    assert issubclass(error, QueueError)
    assert issubclass(error, ValueError)


def test_what_is_not_the_callers_fault_is_no_value_error() -> None:
    for error in OTHER_QUEUE_ERRORS:
        assert issubclass(error, QueueError)
        assert not issubclass(error, ValueError)
    assert issubclass(JobWaitTimeoutError, TimeoutError)
    assert issubclass(ConfigurationError, ImproperlyConfigured)


@pytest.mark.parametrize(("error", "means"), EXECUTOR_ERRORS.items())
def test_an_executors_error_says_whether_another_try_can_help(
    error: type[ExecutorError], means: tuple[bool, Outcome]
) -> None:
    assert (error.transient, error.outcome) == means


def test_a_validation_error_works_in_forms_and_as_a_value_error() -> None:
    error = JobValidationError({"command": ["Give one."], "queue": ["Too long."]})
    assert issubclass(JobValidationError, ValidationError)
    assert error.message_dict == {"command": ["Give one."], "queue": ["Too long."]}
    assert "Give one." in str(error)
    outer = ValidationError({"other": ["x"]})
    assert set(error.update_error_dict(dict(outer.error_dict))) == {"command", "queue", "other"}


def test_an_invalid_transition_says_which_job_from_where_to_where_and_why() -> None:
    error = InvalidTransitionError("id-1", "running", "pending", "Cancel it first.")
    assert str(error) == "Job id-1 cannot go from running to pending. Cancel it first."
    assert (error.job_id, error.source, error.target) == ("id-1", "running", "pending")


def test_a_job_that_failed_shows_its_last_lines() -> None:
    error = JobFailedError("id-1", "failed", 3, "app_error", "boom\n")
    assert (error.exit_code, error.outcome, error.output) == (3, "app_error", "boom\n")
    assert str(error).endswith("Its last lines:\nboom\n")
