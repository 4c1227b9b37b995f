"""``/metrics`` for Prometheus. Closed: with the token of the settings, or to users who may view jobs."""

from __future__ import annotations

import logging

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from container_manager import conf
from container_manager.metrics.collector import QueueCollector

logger = logging.getLogger(__name__)


@never_cache
@require_safe
def metrics_view(request: HttpRequest) -> HttpResponse:
    """
    The queue's metrics, as text or OpenMetrics by the request's ``Accept``.

    401 without credentials, 403 with wrong or insufficient ones, 503 when the database does not answer.
    """
    refusal = _refusal(request)
    if refusal is not None:
        return refusal
    registry = CollectorRegistry()
    registry.register(QueueCollector())
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    try:
        body = encode(registry)
    except DatabaseError as error:
        logger.warning("no metrics: %s", error)
        return HttpResponse("The database does not answer.\n", status=503, content_type="text/plain")
    return HttpResponse(body, content_type=content_type)


def _refusal(request: HttpRequest) -> HttpResponse | None:
    """Why the request may not read, ``None`` = it may."""
    token = conf.get("METRICS_TOKEN")
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if token and scheme.lower() == "bearer" and constant_time_compare(given.strip(), token):
        return None
    user = getattr(request, "user", None)
    if user is not None and user.is_active and user.has_perm("container_manager.view_containerjob"):
        return None
    if given or (user is not None and user.is_authenticated):
        return _plain("This token or user may not read the metrics.\n", 403)
    answer = _plain("Give the token of the setting METRICS_TOKEN as a bearer token, or log in.\n", 401)
    answer["WWW-Authenticate"] = 'Bearer realm="metrics"'
    return answer


def _plain(text: str, status: int) -> HttpResponse:
    return HttpResponse(text, status=status, content_type="text/plain; charset=utf-8")
