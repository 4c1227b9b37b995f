"""The OpenAPI document: valid, served, and the one that is published."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from django.contrib.auth.models import User
from openapi_spec_validator import OpenAPIV31SpecValidator

from container_manager.api.schema import document
from container_manager.api.serializers import JobSerializer
from container_manager.models import ContainerJob
from tests.api.conftest import Api
from tests.api.write_document import PUBLISHED, text

KEPT_BACK = {"secrets", "hold_until", "worker", "unique_key", "unique_slot", "tenant"}


def test_the_document_is_valid_openapi_3_1() -> None:
    found = document()
    assert found["openapi"] == "3.1.0"
    OpenAPIV31SpecValidator(found).validate()


def test_the_published_document_is_this_one() -> None:
    """``python -m tests.api.write_document`` writes it."""
    assert Path(PUBLISHED).read_text(encoding="utf-8") == text()


def test_every_operation_says_what_its_errors_are() -> None:
    for path, operations in document()["paths"].items():
        for method, operation in operations.items():
            for status, answer in operation["responses"].items():
                if status.startswith("4"):
                    assert set(answer["content"]) == {"application/problem+json"}, (method, path, status)


def test_a_job_keeps_back_what_is_secret_or_internal() -> None:
    assert {field.name for field in ContainerJob._meta.concrete_fields} >= KEPT_BACK
    assert KEPT_BACK.isdisjoint(JobSerializer.Meta.fields)


@pytest.mark.django_db
def test_it_is_served_to_users() -> None:
    ann = Api(User.objects.create_user("ann"))
    for media_type in ("application/vnd.oai.openapi", "application/json", "application/yaml"):
        answer = ann.get("/schema/", Accept=media_type)
        assert answer["Content-Type"].startswith(media_type)
        assert yaml.safe_load(answer.content)["info"]["title"] == "container_manager"
