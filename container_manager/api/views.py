"""What every view of the API has: closed by default, JSON, problems, ETags."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.cache import get_conditional_response, patch_vary_headers
from rest_framework.parsers import JSONParser
from rest_framework.permissions import AllowAny, BasePermission, IsAuthenticated
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import APIView

from container_manager.api import problems
from container_manager.api.schema import ProblemSchema


class HasPermissions(BasePermission):
    """The user has the model permissions that the view names for what is done."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        return bool(request.user.has_perms(view.permissions_of(request.method)))


class QueueView(APIView):
    """
    The base of the views.

    The project's authentication, permissions and throttling apply. Whatever these allow, a user has to
    be authenticated and to have the permissions that ``needs`` names.
    """

    renderer_classes: ClassVar[list[Any]] = [JSONRenderer]
    parser_classes = [JSONParser]
    schema: Any = ProblemSchema()
    needs: ClassVar[Mapping[str, str]] = {}
    """Permission of ``container_manager`` by action, or by lower-case method where a view has no actions."""

    def get_permissions(self) -> list[BasePermission]:
        return [
            *(permission() for permission in api_settings.DEFAULT_PERMISSION_CLASSES if permission is not AllowAny),
            IsAuthenticated(),
            HasPermissions(),
        ]

    def permissions_of(self, method: str) -> list[str]:
        """The permissions for a request; a method that the view does not have needs none to be told so."""
        name = self.needs.get(getattr(self, "action", None) or method.lower().replace("head", "get"))
        return [f"container_manager.{name}"] if name else []

    def get_exception_handler(self) -> Any:
        return problems.handle

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> HttpResponseBase:
        final: HttpResponseBase = super().finalize_response(request, response, *args, **kwargs)
        if request.method in ("GET", "HEAD") and final.status_code == 200 and isinstance(final, HttpResponse):
            # The answer depends on who asks, and a shared cache must not keep it.
            final.headers.setdefault("Cache-Control", "private, no-cache")
            patch_vary_headers(final, ("Authorization", "Cookie"))
            if isinstance(final, Response):
                final.add_post_render_callback(partial(_conditional, request))
            else:
                return _conditional(request, final)
        return final


def _conditional(request: Request | HttpRequest, response: HttpResponse) -> HttpResponseBase:
    """``response`` with an ETag, or 304 for who has it."""
    response["ETag"] = f'"{hashlib.sha256(response.content).hexdigest()[:32]}"'
    known = getattr(request, "_request", request)
    answer = get_conditional_response(known, etag=response["ETag"], response=response)
    return response if answer is None else answer
