"""What the engine, its library and its registries say, as this package's typed errors."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from http.client import RemoteDisconnected
from ssl import SSLCertVerificationError, SSLError
from typing import Final

from docker.errors import APIError, DockerException
from requests import RequestException, Timeout
from urllib3.exceptions import HTTPError, NewConnectionError
from urllib3.exceptions import SSLError as WrappedSSLError
from urllib3.exceptions import TimeoutError as PoolTimeoutError

from container_manager.exceptions import (
    ExecutionNotFoundError,
    ExecutionRunningError,
    ExecutorError,
    ExecutorUnavailableError,
    ImageNotFoundError,
    ImagePullError,
    NameConflictError,
    SpecificationError,
)
from container_manager.executors.docker.dialects import Answer, Dialect
from container_manager.executors.registries import is_refused_for_good

LIBRARY_ERRORS: Final = (DockerException, RequestException, HTTPError, OSError, ValueError, KeyError, TypeError)
"""All that the SDK and the libraries under it raise for a call, down to an answer that is not JSON or not Docker's."""

SHORT_OF: Final = (
    r"cannot allocate memory|resource temporarily unavailable|no space left|too many open files"
    r"|device or resource busy|deadline exceeded|timed? ?out"
)
ANSWERS: Final[tuple[Answer, ...]] = (
    (r"404", r"no such image", ImageNotFoundError),
    (r"404", r"no such container", ExecutionNotFoundError),
    (r"404", r"page not found", ExecutorUnavailableError),
    (r"400", r"client version|HTTP request to an HTTPS server", ExecutorUnavailableError),
    (r"409", r"already in use", NameConflictError),
    (r"409", r"(running|paused|restarting) container|is (running|paused|restarting)", ExecutionRunningError),
    (r"409", r"removal of container|marked for removal", ExecutionNotFoundError),
    (r"409", r"", ExecutorError),
    (r"401|407|429", r"", ExecutorUnavailableError),
    (r"\d+", SHORT_OF, ExecutorUnavailableError),
    (r"4\d\d", r"", SpecificationError),
    (
        r"500",
        r"OCI runtime|could not select device driver|unable to find (user|group)|no matching entries",
        SpecificationError,
    ),
    (r"500", r"invalid tmpfs|cannot mkdir|not a directory|exec format error|unknown runtime", SpecificationError),
    (r"5\d\d", r"", ExecutorUnavailableError),
)
"""The first row that fits; the dialect's own come before."""

BROKEN_OFF: Final = (SSLError, WrappedSSLError, ConnectionResetError, BrokenPipeError, RemoteDisconnected)


def executor_error(error: Exception, doing: str, address: str, dialect: Dialect, *, is_tls: bool) -> ExecutorError:
    """``error``, raised while trying to ``doing`` at the engine ``address``, as one of ours."""
    if isinstance(error, APIError) and error.status_code is not None:
        text = error.explanation or str(error)
        if "HTTPS server" in text:
            text += " Give the host's option 'tls'."
        for status, words, kind in (*dialect.answers, *ANSWERS):
            if re.fullmatch(status, str(error.status_code)) and re.search(words, text, re.IGNORECASE):
                return kind(f"{dialect.name} could not {doing}: {text}")
    why = _no_answer(error, is_tls=is_tls)
    return ExecutorUnavailableError(f"{dialect.name} at {address} could not {doing}: {why}")


def pull_error(image: str, registry: str, text: str) -> ExecutorError:
    """Why ``image`` was not pulled, by the registry's or the engine's own words."""
    message = f"The image {image} could not be pulled from {registry}: {text}"
    if not is_refused_for_good(text):
        return ImagePullError(message)
    return ImageNotFoundError(f"{message} (Is its name right, and may this host's credentials read it?)")


def is_timeout(error: Exception) -> bool:
    """Did a wait for the engine end ``error``, however deep the libraries have wrapped it?"""
    # A refused connection is a timeout to urllib3.
    return any(
        isinstance(cause, (Timeout, PoolTimeoutError, TimeoutError)) and not isinstance(cause, NewConnectionError)
        for cause in _causes(error)
    )


def _no_answer(error: Exception, *, is_tls: bool) -> str:
    causes = list(_causes(error))
    if is_timeout(error):
        return "no answer within the timeout. It may be overloaded; the host's option 'timeout' sets the limit."
    if any(isinstance(cause, PermissionError) for cause in causes):
        return "this process may not open the socket. Run it as a user in the socket's group (docker)."
    if any(isinstance(cause, (ConnectionRefusedError, FileNotFoundError)) for cause in causes):
        return "nothing listens there. Is the engine running, and is the host's option 'base_url' right?"
    if is_tls and (problem := _tls_problem(causes)):
        return problem
    return str(error) or type(error).__name__


def _tls_problem(causes: Sequence[BaseException]) -> str:
    """Why there is no trust between the worker and the engine; empty when it is something else."""
    for cause in causes:
        if isinstance(cause, SSLCertVerificationError):
            return (
                f"its certificate is not trusted: {cause.verify_message}. Does 'ca_cert' of the host's option 'tls' "
                "name the authority that signed it, and 'base_url' the engine as its certificate does?"
            )
    for cause in causes:
        # An engine that refuses a certificate may be heard to say so, or only be found to have hung up.
        if isinstance(cause, BROKEN_OFF):
            return (
                f"the connection over TLS broke: {cause}. Does the engine accept the certificate in 'client_cert' of "
                "the host's option 'tls'?"
            )
    return ""


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
