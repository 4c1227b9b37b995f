"""Answers of the admin's own pages: whole ones in the frame, and the fragments that refresh them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.contrib.admin import ModelAdmin
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils.cache import add_never_cache_headers

TEMPLATES: Final = "admin/container_manager"


def page(
    model_admin: ModelAdmin, request: HttpRequest, template: str, context: Mapping[str, Any] | None = None
) -> TemplateResponse:
    """``template``, which extends ``frame.html``, with the stock admin's context, the model's and ``context``."""
    request.current_app = model_admin.admin_site.name  # what {% url %} reads
    frame = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "app_label": model_admin.opts.app_label,
    }
    return TemplateResponse(request, f"{TEMPLATES}/{template}", {**frame, **(context or {})})


def fragment(
    model_admin: ModelAdmin, request: HttpRequest, template: str, context: Mapping[str, Any] | None = None
) -> TemplateResponse:
    """A part of a page, for ``hx-get``. Nobody keeps it."""
    request.current_app = model_admin.admin_site.name
    answer = TemplateResponse(request, f"{TEMPLATES}/{template}", dict(context or {}))
    add_never_cache_headers(answer)
    return answer
