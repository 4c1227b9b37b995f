"""The API against its own description: whatever is sent, no 5xx and no answer that is not documented."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
import schemathesis
from django.contrib.auth.models import User
from django.core import signals
from django.core.handlers.wsgi import WSGIHandler
from django.db import close_old_connections, transaction
from hypothesis import strategies
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from container_manager.api.schema import document
from container_manager.executors.fake import engine
from container_manager.models import ContainerJob, ExecutorHost

pytestmark = pytest.mark.django_db
JOB, HOST = "01890000-0000-7000-8000-000000000000", "fake"
CREDENTIALS = "Basic " + base64.b64encode(b"root:secret").decode()
CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_headers_conformance,
    response_schema_conformance,
]  # fmt: skip

schema = schemathesis.openapi.from_dict(document())
schema.app = WSGIHandler()


@pytest.fixture
def service(db: None, settings: Any) -> Iterator[None]:
    """A job and a host that exist, and a user who may do everything."""
    settings.ALLOWED_HOSTS = ["localhost"]
    settings.ROOT_URLCONF = "container_manager.api.urls"
    User.objects.create_superuser("root", password="secret")
    ExecutorHost.objects.create(name=HOST, executor_type="fake", options={"engine": "fuzz"})
    ContainerJob.objects.create(pk=JOB, command="echo hello")
    engine("fuzz").reset()
    # As Django's own test client does: a request must not close the connection of the test's transaction.
    ends = (signals.request_started, signals.request_finished)
    for signal in ends:
        signal.disconnect(close_old_connections)
    yield
    for signal in ends:
        signal.connect(close_old_connections)
    engine("fuzz").reset()


found = [operation for operation in schema.get_all_operations() if isinstance(operation, Ok)]
OPERATIONS: dict[str, Any] = {operation.ok().label: operation.ok() for operation in found}
FREE_TEXT = ("definition", "parameters", "retry_policy", "environment_template", "entrypoint")
"""Fields whose made-up values the description cannot keep from being refused."""


def make_it_meet(case: Any) -> None:
    """Most of what is made up is refused at the door; this request gets to what is behind it."""
    names = {"id": JOB, "name": HOST}
    case.path_parameters = {name: names[name] for name in case.path_parameters or ()}
    if not isinstance(case.body, dict):
        return
    if case.path == "/jobs/bulk/":
        case.body = {**case.body, "ids": [JOB]}
        case.body.pop("filter", None)
        if case.body.get("action") != "set_priority":
            case.body.pop("priority", None)
    elif case.path.startswith("/jobs/"):
        case.body = {name: value for name, value in case.body.items() if name not in FREE_TEXT}
        if case.path == "/jobs/":
            case.body["command"] = "echo hello"


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["valid", "invalid"])
@pytest.mark.parametrize("label", OPERATIONS)
@pytest.mark.usefixtures("service")
def test_every_answer_is_documented(label: str, mode: GenerationMode) -> None:
    @hypothesis.settings(
        max_examples=20, derandomize=True, deadline=None, database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )  # fmt: skip
    @hypothesis.given(case=OPERATIONS[label].as_strategy(generation_mode=mode), is_to_meet=strategies.booleans())
    def send(case: Any, is_to_meet: bool) -> None:
        if is_to_meet:
            make_it_meet(case)
        if isinstance(case.query, dict) and case.query.get("wait"):
            case.query["wait"] = 0
        with transaction.atomic():
            response = case.call(headers={"Authorization": CREDENTIALS})
            case.validate_response(response, checks=CHECKS)
            transaction.set_rollback(True)

    try:
        send()
    except hypothesis.errors.Unsatisfiable:
        assert (mode, label.partition(" ")[0]) == (GenerationMode.NEGATIVE, "GET"), (
            "only what takes nothing cannot be wrong"
        )
