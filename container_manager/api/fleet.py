"""Hosts and workers, the queue in numbers, and whether this process can do its work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.utils import OpenApiResponse
from rest_framework import mixins, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from container_manager import hosts
from container_manager.api.pagination import ByName, QueuePagination
from container_manager.api.problems import ProblemError, bad_query
from container_manager.api.schema import described
from container_manager.api.serializers import (
    HealthSerializer,
    HostCheckSerializer,
    HostSerializer,
    StatsSerializer,
    WorkerSerializer,
)
from container_manager.api.views import QueueView
from container_manager.exceptions import ConfigurationError, ExecutorError
from container_manager.models import ExecutorHost, Installation, JobAttempt, Worker
from container_manager.queue import queue_manager
from container_manager.readiness import database_problem
from container_manager.services import executor_for
from container_manager.visibility import visible_jobs


class QueryFilter(DjangoFilterBackend):
    """A wrong value is a wrong query, not a wrong body."""

    def filter_queryset(self, request: Request, queryset: Any, view: Any) -> Any:
        filters = self.get_filterset(request, queryset, view)
        if filters is None:
            return queryset
        if not filters.is_valid():
            raise bad_query({name: list(messages) for name, messages in filters.errors.items()})
        return filters.qs


class HostViewSet(QueueView, mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet):
    """Where jobs run."""

    needs: ClassVar = {
        "list": "view_executorhost", "retrieve": "view_executorhost", "drain": "change_executorhost",
        "resume": "change_executorhost", "check": "change_executorhost",
    }  # fmt: skip
    serializer_class = HostSerializer
    queryset = ExecutorHost.objects.none()
    pagination_class = ByName
    filter_backends = [QueryFilter]
    filterset_fields = ("executor_type", "is_active", "node")
    lookup_field = "name"
    lookup_value_regex = "[^/]+"

    def get_queryset(self) -> QuerySet[ExecutorHost]:
        using = queue_manager.using
        return ExecutorHost.objects.using(using).annotate(active_jobs=_active_jobs("host", using))

    @described(operation_id="hosts_drain", request=None, responses=HostSerializer)
    @action(detail=True, methods=["post"], filter_backends=[])
    def drain(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """No new jobs; what runs goes on."""
        return self._set_active(False)

    @described(operation_id="hosts_resume", request=None, responses=HostSerializer)
    @action(detail=True, methods=["post"], filter_backends=[])
    def resume(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """It takes jobs again."""
        return self._set_active(True)

    @described(operation_id="hosts_check", request=None, responses=HostCheckSerializer)
    @action(detail=True, methods=["post"], filter_backends=[])
    def check(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Ask its engine now, from this process. Nothing is written."""
        host = self.get_object()
        node = hosts.node_name()
        if host.node not in ("", node):
            raise ProblemError(409, "refused", f"Only reachable on node {host.node}; this is {node}.")
        try:
            host.full_clean()
            health = executor_for(host, Installation.current(queue_manager.using).identifier).check()
        except ValidationError as error:
            return Response(_unhealthy(" ".join(error.messages)))
        except (ConfigurationError, ExecutorError) as error:
            return Response(_unhealthy(str(error)))
        return Response({"is_healthy": True, "engine_id": health.engine_id, "version": health.version, "error": ""})

    def _set_active(self, is_active: bool) -> Response:
        host = self.get_object()
        host.is_active = is_active
        host.save(update_fields=["is_active"])
        return Response(HostSerializer(host).data)


def _unhealthy(error: str) -> dict[str, Any]:
    return {"is_healthy": False, "engine_id": "", "version": "", "error": error}


class WorkerViewSet(QueueView, mixins.ListModelMixin, viewsets.GenericViewSet):
    """Who works."""

    needs: ClassVar = {"list": "view_worker"}
    serializer_class = WorkerSerializer
    queryset = Worker.objects.none()
    pagination_class = QueuePagination
    filter_backends = [QueryFilter]
    filterset_fields = ("kind", "node")

    @described(operation_id="workers_list")
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Workers and callers of launch_job, and whether they are alive, newest first."""
        return super().list(request, *args, **kwargs)

    def get_queryset(self) -> QuerySet[Worker]:
        using = queue_manager.using
        return Worker.objects.using(using).annotate(active_jobs=_active_jobs("worker", using))

    def paginate_queryset(self, queryset: QuerySet[Worker]) -> Sequence[Worker]:
        using = queue_manager.using
        alive = set(Worker.objects.using(using).alive().values_list("pk", flat=True))
        names = dict(ExecutorHost.objects.using(using).values_list("pk", "name"))
        rows: list[Worker] = super().paginate_queryset(queryset)
        for row in rows:
            row.is_alive = row.pk in alive  # type: ignore[attr-defined]
            row.hosts = [names[pk] for pk in row.hosts if pk in names]
        return rows


class StatsView(QueueView):
    """The queue in numbers."""

    needs: ClassVar = {"get": "view_containerjob"}

    @described(operation_id="stats", responses=StatsSerializer)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """How many of the jobs that the user may see are queued, scheduled, running, and failed to launch."""
        return Response(visible_jobs(request.user).queue_stats(timezone.now()))


class OpenView(QueueView):
    """For probes: one word, and nobody is asked who they are."""

    authentication_classes: ClassVar[list[Any]] = []
    throttle_classes: ClassVar[list[Any]] = []

    def get_permissions(self) -> list[Any]:
        return []


class LiveView(OpenView):
    @described(operation_id="health_live", responses=HealthSerializer)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """200 while this process answers."""
        return Response({"status": "ok"})


class ReadyView(OpenView):
    @described(
        operation_id="health_ready",
        responses={200: HealthSerializer, 503: OpenApiResponse(HealthSerializer, "The database does not answer.")},
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """200 when the queue's database answers and has its tables."""
        if database_problem():
            return Response({"status": "unavailable"}, status=503)
        return Response({"status": "ok"})


def _active_jobs(by: str, using: str) -> Coalesce:
    """A count over the open attempts only: history is not read."""
    of_row = JobAttempt.objects.using(using).filter(**{by: OuterRef("pk")}, active_job__isnull=False).order_by()
    return Coalesce(Subquery(of_row.values(by).annotate(count=Count("pk")).values("count")), 0)
