"""What the cluster and the library say, as this package's typed errors."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Final

from kubernetes.client import ApiException
from kubernetes.config import ConfigException
from urllib3.exceptions import HTTPError, NewConnectionError
from urllib3.exceptions import TimeoutError as PoolTimeoutError

from container_manager.exceptions import (
    ConfigurationError,
    ContainerManagerError,
    ExecutionNotFoundError,
    ExecutorError,
    ExecutorUnavailableError,
    NameConflictError,
    SpecificationError,
)

LIBRARY_ERRORS: Final = (ApiException, ConfigException, HTTPError, OSError, ValueError, KeyError, TypeError)
"""All that the client and the libraries under it raise for a call, down to an answer that is not the API's."""


class ChangedError(ExecutorError):
    """The object is not as the call required: somebody else was first."""


class ExpiredError(ExecutorUnavailableError):
    """The cluster no longer keeps the version from which a watch was to go on: list again."""


class ForbiddenError(ExecutorUnavailableError):
    """The cluster does not allow the call to us."""


ANSWERS: Final[tuple[tuple[str, str, type[ExecutorError]], ...]] = (
    (r"404", r"", ExecutionNotFoundError),
    (r"409", r"AlreadyExists", NameConflictError),
    (r"409", r"", ChangedError),
    (r"410", r"", ExpiredError),
    (r"422", r"rejected our request|testing (value|path)|test failed", ChangedError),
    (r"40[03]", r"admission webhook|violates PodSecurity|ValidatingAdmissionPolicy", SpecificationError),
    (r"403", r"exceeded quota|forbidden: .*quota|is being terminated", ExecutorError),
    (r"403", r"", ForbiddenError),
    (r"401|408|429", r"", ExecutorUnavailableError),
    (r"4\d\d", r"", SpecificationError),
    (r"\d+", r"", ExecutorUnavailableError),
)
"""Status, words of reason and message, and what that is: the first row that fits."""

WHAT_TO_DO: Final = {
    401: "Its credentials are not accepted: renew those that the host's options name.",
    403: "Grant the right: deploy/kubernetes/rbac.yaml lists those that are needed.",
}


def cluster_error(error: Exception, doing: str, address: str) -> ContainerManagerError:
    """``error``, raised while trying to ``doing`` at the cluster ``address``, as one of ours."""
    if isinstance(error, ConfigException):
        return ConfigurationError(
            f"There is no way to a cluster: {error} Give the host's option 'kubeconfig', and 'context', or run in a "
            "pod with a service account."
        )
    if isinstance(error, ApiException) and error.status:
        reason, message = status_words(error.body)
        kind = answer_kind(error.status, f"{reason} {message}")
        text = f"Kubernetes could not {doing}: {message or error.reason}"
        return kind(f"{text}. {WHAT_TO_DO[error.status]}" if error.status in WHAT_TO_DO else text)
    return ExecutorUnavailableError(f"Kubernetes at {address} could not {doing}: {_no_answer(error)}")


def answer_kind(status: int, words: str) -> type[ExecutorError]:
    for pattern, needed, kind in ANSWERS:
        if re.fullmatch(pattern, str(status)) and re.search(needed, words, re.IGNORECASE):
            return kind
    return ExecutorUnavailableError


def status_words(body: object) -> tuple[str, str]:
    """Reason and message of the ``Status`` in an answer's body; the body itself where it is none."""
    text = body.decode(errors="replace") if isinstance(body, bytes) else str(body or "")
    try:
        status = json.loads(text)
        return str(status.get("reason") or ""), str(status.get("message") or "")
    except (ValueError, AttributeError):
        return "", text.strip()[:500]


def _no_answer(error: Exception) -> str:
    causes = list(_causes(error))
    is_timeout = any(
        # A refused connection is a timeout to urllib3.
        isinstance(cause, (PoolTimeoutError, TimeoutError)) and not isinstance(cause, NewConnectionError)
        for cause in causes
    )
    if is_timeout:
        return "no answer within the timeout. It may be overloaded; the host's option 'timeout' sets the limit."
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return "nothing listens there. Is the cluster up, and is the host's 'kubeconfig' and 'context' right?"
    return str(error) or type(error).__name__


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = (
            getattr(error, "reason", None)
            if isinstance(error, HTTPError) and not error.__cause__
            else (error.__cause__ or error.__context__)
        )
        if not isinstance(error, BaseException):
            return
