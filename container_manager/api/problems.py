"""Errors as RFC 9457 ``application/problem+json``: one handler, stable types."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from rest_framework import exceptions
from rest_framework.views import set_rollback

from container_manager.exceptions import JobNotFoundError, JobValidationError, QueueCapacityError, QueueError

MEDIA_TYPE: Final = "application/problem+json"
TYPE: Final = "urn:container-manager:problem:"
RETRY_WHEN_FULL_SECONDS: Final = 30
TITLES: Final = {
    "malformed": "The request cannot be read.",
    "bad-query": "A query parameter is wrong.",
    "not-authenticated": "Credentials are missing or wrong.",
    "forbidden": "This user may not do that.",
    "not-found": "There is no such thing, or this user may not see it.",
    "method-not-allowed": "The method is not allowed here.",
    "not-acceptable": "None of the accepted media types can be given.",
    "wrong-state": "The job is not in a status that allows this.",
    "key-reused": "The Idempotency-Key was used for another request.",
    "refused": "The queue refuses this.",
    "unsupported-media-type": "The body has a media type that is not read.",
    "invalid": "The body is not valid.",
    "throttled": "Too many requests.",
    "queue-full": "The queue is full.",
    "needs-asgi": "Streaming needs an ASGI server.",
}
"""Code and title of each problem; its type is ``TYPE`` and the code."""
_CODES: Final[tuple[tuple[type[Exception], str], ...]] = (
    (exceptions.ParseError, "malformed"),
    (exceptions.NotAuthenticated, "not-authenticated"),
    (exceptions.AuthenticationFailed, "not-authenticated"),
    (exceptions.PermissionDenied, "forbidden"),
    (exceptions.NotFound, "not-found"),
    (exceptions.MethodNotAllowed, "method-not-allowed"),
    (exceptions.NotAcceptable, "not-acceptable"),
    (exceptions.UnsupportedMediaType, "unsupported-media-type"),
    (exceptions.Throttled, "throttled"),
)


class ProblemError(exceptions.APIException):
    """A problem that has a code of its own. ``members`` are further members of the document."""

    def __init__(self, status: int, code: str, detail: str, **members: Any) -> None:
        super().__init__(detail, code)
        self.status_code, self.code, self.members = status, code, members


def wrong_state(error: Exception, state: str) -> ProblemError:
    return ProblemError(409, "wrong-state", str(error), state=state)


def bad_query(detail: Any) -> ProblemError:
    """``detail``: messages by parameter."""
    errors = [{"parameter": pointer.split("/")[1], **rest} for pointer, rest in _flat(detail, "")]
    return ProblemError(400, "bad-query", TITLES["bad-query"], errors=errors)


def handle(error: Exception, context: Mapping[str, Any]) -> HttpResponse | None:
    """The answer to ``error``; ``None`` = it is a bug, and stays an exception. A transaction is rolled back."""
    problem = _problem(_as_api_error(error))
    if problem is None:
        return None
    set_rollback()
    document = {
        "type": TYPE + problem.code, "title": TITLES[problem.code], "status": problem.status_code,
        "detail": str(problem.detail), "instance": context["request"].path, "code": problem.code, **problem.members,
    }  # fmt: skip
    response = HttpResponse(json.dumps(document), content_type=MEDIA_TYPE, status=problem.status_code)
    if header := getattr(error, "auth_header", None):
        response["WWW-Authenticate"] = header
    if problem.status_code == 429:
        wait = getattr(error, "wait", None)
        response["Retry-After"] = str(math.ceil(wait) if wait else RETRY_WHEN_FULL_SECONDS)
    return response


def _as_api_error(error: Exception) -> Any:
    if isinstance(error, Http404 | JobNotFoundError):
        return exceptions.NotFound(str(error) or None)
    if isinstance(error, PermissionDenied):
        return exceptions.PermissionDenied()
    return error


def _problem(error: Exception) -> ProblemError | None:
    if isinstance(error, ProblemError):
        return error
    if isinstance(error, exceptions.ValidationError):
        return _invalid(error.detail)
    if isinstance(error, JobValidationError):
        return _invalid(error.message_dict)
    if isinstance(error, QueueCapacityError):
        return ProblemError(429, "queue-full", str(error))
    if isinstance(error, QueueError):
        return ProblemError(409, "refused", str(error))
    if isinstance(error, exceptions.APIException):
        code = next((code for kind, code in _CODES if isinstance(error, kind)), None)
        return ProblemError(error.status_code, code, str(error.detail)) if code else None
    return None


def _invalid(detail: Any) -> ProblemError:
    errors = [{"pointer": f"#{pointer}", **rest} for pointer, rest in _flat(detail, "")]
    return ProblemError(422, "invalid", TITLES["invalid"], errors=errors)


def _flat(detail: Any, pointer: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Each message with the JSON pointer of what it is about."""
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            is_whole = name in ("non_field_errors", "__all__")
            step = "" if is_whole else "/" + str(name).replace("~", "~0").replace("/", "~1")
            yield from _flat(inner, pointer + step)
    elif isinstance(detail, list | tuple):
        for place, inner in enumerate(detail):
            is_nested = isinstance(inner, Mapping)
            if inner:
                yield from _flat(inner, f"{pointer}/{place}" if is_nested else pointer)
    else:
        yield pointer, {"code": getattr(detail, "code", "invalid"), "detail": str(detail)}
