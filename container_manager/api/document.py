"""The OpenAPI document, served."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.renderers import (
    OpenApiJsonRenderer,
    OpenApiJsonRenderer2,
    OpenApiYamlRenderer,
    OpenApiYamlRenderer2,
)
from rest_framework.request import Request
from rest_framework.response import Response

from container_manager.api.schema import document
from container_manager.api.views import QueueView


class SchemaView(QueueView):
    """The API's own description, for every user who is authenticated."""

    # DRF's way of leaving a view out of the document.
    schema: Any = None
    renderer_classes: ClassVar[list[Any]] = [
        OpenApiYamlRenderer, OpenApiYamlRenderer2, OpenApiJsonRenderer, OpenApiJsonRenderer2,
    ]  # fmt: skip

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return Response(document())
