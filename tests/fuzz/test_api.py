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
from schemathesis.checks import not_a_server_error
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
LONG = 3
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


@schema.parametrize()
@hypothesis.settings(
    max_examples=25, derandomize=True, deadline=None, database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)  # fmt: skip
def test_every_answer_is_documented(case: Any, service: None) -> None:
    known = {"id": JOB, "name": HOST}
    # Of the ids that are made up, the short ones give way to one that exists.
    case.path_parameters = {
        name: known[name] if len(str(value)) < LONG else value for name, value in (case.path_parameters or {}).items()
    }
    if isinstance(case.query, dict) and case.query.get("wait"):
        case.query["wait"] = 0
    with transaction.atomic():
        response = case.call(headers={"Authorization": CREDENTIALS})
        case.validate_response(response, checks=CHECKS)
        transaction.set_rollback(True)
