"""The OpenAPI 3.1 document: what each operation may answer, and how it is made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any, Final, TypeVar

from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.settings import patched_settings
from drf_spectacular.utils import Direction, OpenApiParameter, extend_schema
from rest_framework import serializers

import container_manager

View = TypeVar("View", bound=Callable[..., Any])

PROBLEM_MEDIA_TYPE: Final = "application/problem+json"
SETTINGS: Final = {
    "OAS_VERSION": "3.1.0",
    "TITLE": "container_manager",
    "DESCRIPTION": "A durable queue of container jobs. Errors are RFC 9457 problem documents.",
    "VERSION": container_manager.__version__,
    "COMPONENT_SPLIT_REQUEST": True,
    "SCHEMA_PATH_PREFIX": "",
    "POSTPROCESSING_HOOKS": [],
    "PREPROCESSING_HOOKS": [],
}


class FieldProblemSerializer(serializers.Serializer):
    pointer = serializers.CharField(required=False, help_text="JSON pointer to the wrong part of the body.")
    parameter = serializers.CharField(required=False, help_text="The wrong query parameter.")
    code = serializers.CharField()
    detail = serializers.CharField()


class ProblemSerializer(serializers.Serializer):
    """RFC 9457 problem details."""

    type = serializers.CharField(help_text="urn:container-manager:problem: and the code.")
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField(allow_blank=True)
    instance = serializers.CharField()
    code = serializers.CharField()
    state = serializers.CharField(required=False, help_text="With 409: the job's status.")
    errors = FieldProblemSerializer(many=True, required=False)


class ProblemSchema(AutoSchema):
    """Adds what every operation may answer beside its own."""

    def get_override_parameters(self) -> list[Any]:
        parameters = list(super().get_override_parameters())
        if self.method == "GET" and self._is_closed:
            parameters.append(
                OpenApiParameter(
                    "If-None-Match", str, OpenApiParameter.HEADER, description="The ETag of an answer that is known."
                )
            )
        return parameters

    def _get_response_bodies(self, direction: Direction = "response") -> dict[str, Any]:
        bodies: dict[str, Any] = super()._get_response_bodies(direction)
        if self.method == "GET" and self._is_closed:
            bodies["304"] = {"description": "Not changed since If-None-Match."}
        for status in self._problem_statuses():
            code = str(status)
            bodies.setdefault(code, self._get_response_for_code(ProblemSerializer, code, [PROBLEM_MEDIA_TYPE]))
        return dict(sorted(bodies.items()))

    @property
    def _is_closed(self) -> bool:
        return bool(self.view.get_permissions())

    def _problem_statuses(self) -> Iterator[int]:
        yield from (400, 404, 406, 429)
        if self._is_closed:
            yield from (401, 403)
        if self.method != "GET":
            yield from (409, 415, 422)


def described(**description: Any) -> Callable[[View], View]:
    """``extend_schema`` on top of ``ProblemSchema``, whatever the project's own default is."""

    def describe(view: View) -> View:
        view.kwargs = {**getattr(view, "kwargs", {}), "schema": ProblemSchema}  # type: ignore[attr-defined]
        extended: View = extend_schema(**description)(view)
        return extended

    return describe


def document() -> dict[str, Any]:
    """The API's OpenAPI document, with paths relative to where it is mounted."""
    with patched_settings(SETTINGS):
        patterns = import_module("container_manager.api.urls").urlpatterns
        schema: dict[str, Any] = SchemaGenerator(patterns=patterns).get_schema(request=None, public=True)
        return schema
