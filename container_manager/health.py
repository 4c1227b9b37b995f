"""Whether this web process lives, and whether it can do its work. One word each, so open to probes."""

from __future__ import annotations

import logging

from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from container_manager.readiness import database_problem

logger = logging.getLogger(__name__)
_PLAIN = "text/plain; charset=utf-8"


@never_cache
@require_safe
def live(request: HttpRequest) -> HttpResponse:
    """200 while the process answers; asks nobody."""
    return HttpResponse("ok\n", content_type=_PLAIN)


@never_cache
@require_safe
def ready(request: HttpRequest) -> HttpResponse:
    """200 when the queue's database answers and has its tables, 503 when not; the cause is only logged."""
    if problem := database_problem():
        logger.warning("not ready: %s", problem)
        return HttpResponse("unavailable\n", status=503, content_type=_PLAIN)
    return HttpResponse("ok\n", content_type=_PLAIN)
