"""One action on many jobs."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from container_manager.api.schema import described
from container_manager.api.serializers import BulkResultSerializer, BulkSerializer, job_filter
from container_manager.api.views import QueueView
from container_manager.bulk import CAP, Action, apply
from container_manager.models.job_queryset import JobQuerySet
from container_manager.visibility import visible_jobs


class BulkView(QueueView):
    """One action on many jobs."""

    def permissions_of(self, method: str) -> list[str]:
        """Seeing jobs, and whatever the action takes."""
        asked = self.request.data.get("action") if isinstance(self.request.data, dict) else None
        known = [Action(asked).permission] if isinstance(asked, str) and asked in list(Action) else []
        return ["container_manager.view_containerjob", *known]

    @described(operation_id="jobs_bulk", request=BulkSerializer, responses=BulkResultSerializer)
    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Done to each job that allows it, at most 10,000; the others are skipped with the reason."""
        body = BulkSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        values = body.validated_data
        action = Action(values["action"])
        jobs = visible_jobs(request.user)
        jobs = jobs.filter(pk__in=values["ids"]) if "ids" in values else job_filter(values["filter"]).apply(jobs)
        unseen = _unseen(values.get("ids", ()), jobs)
        answer = {"action": action, "dry_run": values["dry_run"], "is_capped": False, "done": [], "skipped": unseen}
        if values["dry_run"]:
            count = jobs.filter(status__in=action.sources).order_by().values("pk")[: CAP + 1].count()
            return Response({**answer, "matching": min(count, CAP), "is_capped": count > CAP})
        actor = request.user.get_username()
        result = apply(action, jobs, actor=actor, priority=values.get("priority"))
        skipped = [
            {"id": str(change.job_id), "status": change.status, "reason": change.reason} for change in result.skipped
        ]  # fmt: skip
        done = [str(job_id) for job_id in result.done]
        return Response({
            **answer, "matching": len(done), "done": done, "skipped": [*unseen, *skipped],
            "is_capped": result.is_capped,
        })  # fmt: skip


def _unseen(ids: Any, jobs: JobQuerySet) -> list[dict[str, str]]:
    known: set[UUID] = set(jobs.values_list("pk", flat=True)) if ids else set()
    return [
        {"id": str(job_id), "status": "", "reason": "There is no such job."} for job_id in ids if job_id not in known
    ]  # fmt: skip
