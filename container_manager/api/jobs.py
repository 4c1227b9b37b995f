"""Jobs: list, create, show, and the verbs of the queue."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Final
from uuid import UUID

from django.db import transaction
from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.decorators import action
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from container_manager import definitions
from container_manager.api.idempotency import HEADER, once
from container_manager.api.pagination import ByNumber, OldestFirst, QueuePagination
from container_manager.api.problems import bad_query, wrong_state
from container_manager.api.schema import described
from container_manager.api.serializers import (
    AttemptSerializer,
    CloneSerializer,
    EventSerializer,
    JobDetailSerializer,
    JobFilterSerializer,
    JobSerializer,
    JobWriteSerializer,
    QueueSerializer,
    job_filter,
)
from container_manager.api.views import QueueView
from container_manager.exceptions import (
    InvalidTransitionError,
    JobActiveError,
    JobAlreadyQueuedError,
    JobNotQueueableError,
    JobNotQueuedError,
    JobValidationError,
)
from container_manager.models import ContainerJob, JobAttempt, JobEvent
from container_manager.models.job_queryset import JobQuerySet
from container_manager.queue import queue_manager
from container_manager.visibility import visible_jobs
from container_manager.waiting import why_it_waits

WRONG_STATE: Final = (
    InvalidTransitionError, JobActiveError, JobAlreadyQueuedError, JobNotQueueableError, JobNotQueuedError,
)  # fmt: skip
OF_LISTS: Final = ("cursor", "page_size", "format")


class JobView(QueueView):
    """The base of views of one job, of those that the user may see."""

    def jobs(self) -> JobQuerySet:
        return visible_jobs(self.request.user)

    def job(self) -> ContainerJob:
        """The job of the path. ``Http404`` also when the user may not see it."""
        try:
            job_id = UUID(self.kwargs["id"])
        except ValueError as error:
            raise Http404 from error
        job: ContainerJob | None = self.jobs().select_related("environment_template").filter(pk=job_id).first()
        if job is None:
            raise Http404
        return job


class JobViewSet(JobView, mixins.ListModelMixin, viewsets.GenericViewSet):
    """Jobs of the queue."""

    needs: ClassVar = {
        "list": "view_containerjob", "retrieve": "view_containerjob", "create": "add_containerjob",
        "destroy": "delete_containerjob", "attempts": "view_containerjob", "events": "view_containerjob",
        "queue": "launch_containerjob", "dequeue": "launch_containerjob", "cancel": "cancel_containerjob",
        "retry": "retry_containerjob", "clone": "add_containerjob",
    }  # fmt: skip
    queryset = ContainerJob.objects.none()
    serializer_class = JobSerializer
    pagination_class = QueuePagination
    lookup_field = "id"
    lookup_value_regex = "[^/]+"

    @described(operation_id="jobs_list", parameters=[JobFilterSerializer])
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Jobs that match, newest first."""
        return super().list(request, *args, **kwargs)

    def filter_queryset(self, queryset: Any) -> JobQuerySet:
        query = self.request.query_params.copy()
        for name in OF_LISTS:
            query.pop(name, None)
        criteria = JobFilterSerializer(data=query)
        if not criteria.is_valid():
            raise bad_query(criteria.errors)
        return job_filter(criteria.validated_data).apply(self.jobs().select_related("environment_template"))

    @described(operation_id="jobs_show", responses=JobDetailSerializer)
    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """One job, and why it is not running."""
        return Response(_detail(self.job()))

    @described(
        operation_id="jobs_create",
        request=JobWriteSerializer,
        parameters=[
            OpenApiParameter(
                HEADER, str, OpenApiParameter.HEADER, description="The same key and body make one job, however often."
            )
        ],
        responses={
            201: OpenApiResponse(JobDetailSerializer, "Created."),
            200: OpenApiResponse(JobDetailSerializer, "It was created by an earlier request with this key."),
        },
    )
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """A new job, pending, or queued with `is_queued`. Its columns, or those of a definition."""
        body = JobWriteSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        values = dict(body.validated_data)
        is_queued = self._may_queue(values.pop("is_queued", False))

        def make() -> ContainerJob:
            job = _from_definition(values) if "definition" in values else ContainerJob(**values)
            return self._saved(job, is_queued=is_queued)

        job_id, is_new = once(request, make, queue_manager.using)
        job = self.jobs().select_related("environment_template").filter(pk=job_id).first()
        if job is None:
            raise Http404(f"Job {job_id} was created by this key, and is not to be seen now.")
        return self._created(job, status.HTTP_201_CREATED if is_new else status.HTTP_200_OK)

    @described(operation_id="jobs_delete", responses={204: None})
    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """The job is gone, with its attempts, events and output. Not while it is active."""
        self._act(lambda job: job.delete(), self.job())
        return Response(status=status.HTTP_204_NO_CONTENT)

    @described(operation_id="jobs_attempts", responses=AttemptSerializer(many=True))
    @action(detail=True, pagination_class=ByNumber, serializer_class=AttemptSerializer)
    def attempts(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Its launches, oldest first."""
        job = self.job()
        return self._page(JobAttempt.objects.using(job.write_alias).filter(job_id=job.pk).select_related("host"))

    @described(operation_id="jobs_events", responses=EventSerializer(many=True))
    @action(detail=True, pagination_class=OldestFirst, serializer_class=EventSerializer)
    def events(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """What happened to it and who did it, oldest first."""
        job = self.job()
        return self._page(JobEvent.objects.using(job.write_alias).filter(job_id=job.pk))

    @described(operation_id="jobs_queue", request=QueueSerializer, responses=JobDetailSerializer)
    @action(detail=True, methods=["post"])
    def queue(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Put it in the queue; a failed job starts afresh."""
        body = QueueSerializer(data=request.data or {})
        body.is_valid(raise_exception=True)
        return self._done(lambda job: queue_manager.queue_job(job, actor=self._actor, **body.validated_data))

    @described(operation_id="jobs_dequeue", request=None, responses=JobDetailSerializer)
    @action(detail=True, methods=["post"])
    def dequeue(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Take it out of the queue."""
        return self._done(lambda job: queue_manager.dequeue_job(job, actor=self._actor))

    @described(
        operation_id="jobs_cancel",
        request=None,
        responses={
            200: OpenApiResponse(JobDetailSerializer, "Cancelled."),
            202: OpenApiResponse(JobDetailSerializer, "It is active; its worker stops it."),
        },
    )
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """End it; a running one is stopped."""
        response = self._done(lambda job: queue_manager.cancel_job(job, actor=self._actor))
        if response.data["status"] != "cancelled":
            response.status_code = status.HTTP_202_ACCEPTED
        return response

    @described(operation_id="jobs_retry", request=None, responses=JobDetailSerializer)
    @action(detail=True, methods=["post"])
    def retry(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Queue a failed job again, afresh."""
        return self._done(lambda job: queue_manager.retry_job(job, actor=self._actor))

    @described(operation_id="jobs_clone", request=CloneSerializer, responses={201: JobDetailSerializer})
    @action(detail=True, methods=["post"])
    def clone(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """A new job with this one's specification and the changes of the body."""
        body = CloneSerializer(data=request.data or {})
        body.is_valid(raise_exception=True)
        changes = dict(body.validated_data)
        is_queued = self._may_queue(changes.pop("is_queued", False))
        with transaction.atomic(using=queue_manager.using):
            job = self._saved(queue_manager.clone_job(self.job(), **changes), is_queued=is_queued)
        return self._created(job, status.HTTP_201_CREATED)

    @property
    def _actor(self) -> str:
        return str(self.request.user.get_username())

    def _may_queue(self, is_queued: bool) -> bool:
        if is_queued and not self.request.user.has_perm("container_manager.launch_containerjob"):
            raise PermissionDenied
        return is_queued

    def _saved(self, job: ContainerJob, *, is_queued: bool) -> ContainerJob:
        """In the caller's transaction, which ends with ``PermissionDenied`` where the user could not see the job."""
        if is_queued:
            queue_manager.queue_job(job, actor=self._actor)
        elif job._state.adding:
            job.validate_specification()
            job.save(using=queue_manager.using)
        if not self.jobs().filter(pk=job.pk).exists():
            raise PermissionDenied("You could not see this job: its queue, or what else decides it, is not yours.")
        return job

    def _created(self, job: ContainerJob, code: int) -> Response:
        name = self.request.resolver_match.view_name.rpartition(":")[0]
        route = f"{name}:jobs-detail" if name else "jobs-detail"
        where = reverse(route, kwargs={"id": str(job.pk)}, request=self.request)
        return Response(_detail(job), status=code, headers={"Location": where})

    def _done(self, do: Callable[[ContainerJob], object]) -> Response:
        job = self.job()
        self._act(do, job)
        return Response(_detail(job))

    def _act(self, do: Callable[[ContainerJob], object], job: ContainerJob) -> None:
        try:
            do(job)
        except WRONG_STATE as error:
            row = self.jobs().filter(pk=job.pk).first()
            if row is None:
                raise Http404 from error
            raise wrong_state(error, row.status) from error

    def _page(self, rows: Any) -> Response:
        page = self.paginate_queryset(rows)
        return self.get_paginated_response(self.get_serializer(page, many=True).data)


def _from_definition(values: dict[str, Any]) -> ContainerJob:
    definition = definitions.find(values["definition"])
    parameters = values.get("parameters", {})
    # By name, since a definition's own arguments (tenant, unique_key) are not the request's to give.
    if unknown := [name for name in parameters if name not in definition.fields]:
        known = ", ".join(definition.fields) or "none"
        problems = {name: [f"There is no such parameter. Known: {known}."] for name in unknown}
        raise serializers.ValidationError({"parameters": problems})
    given = {name: values[name] for name in ("name", "priority") if name in values}
    try:
        job: ContainerJob = definition.build(**given, **parameters)
    except JobValidationError as error:
        raise serializers.ValidationError({"parameters": error.message_dict}) from error
    job.scheduled_for = values.get("scheduled_for")
    return job


def _detail(job: ContainerJob) -> dict[str, Any]:
    job.waits = why_it_waits(job, job.write_alias)  # type: ignore[attr-defined]
    data: dict[str, Any] = JobDetailSerializer(job).data
    return data
