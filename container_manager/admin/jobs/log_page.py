"""A job's output while it is read: what is new since a moment ago, and all of it as a file."""

from __future__ import annotations

from collections.abc import Iterator

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.template.loader import render_to_string
from django.utils.cache import add_never_cache_headers

from container_manager.admin.logs.selecting import Wanted, read_excerpt
from container_manager.admin.pages import TEMPLATES
from container_manager.describing import short_id
from container_manager.models import ContainerJob, JobAttempt
from container_manager.models.output import gap_line, read_output


def new_lines(request: HttpRequest, job: ContainerJob, using: str) -> HttpResponse:
    """
    JSON: ``html`` to append, ``cursor`` to ask with next, ``is_over`` when nothing more will come.

    ``is_reset``: more came than is shown at once; ``html`` stands alone.
    """
    attempt = find_attempt(request, job, using)
    is_over = attempt.finished_at is not None  # asked before the output, so that its last lines are not missed
    excerpt = read_excerpt(attempt, Wanted.read(request.GET.dict()))
    context = {"excerpt": excerpt, "attempt": attempt, "job": job}
    answer = JsonResponse({
        "html": render_to_string(f"{TEMPLATES}/jobs/log_lines.html", context, request) if excerpt.lines else "",
        "cursor": str(excerpt.cursor),
        "is_over": is_over,
        "is_reset": excerpt.has_earlier,
    })  # fmt: skip
    add_never_cache_headers(answer)
    return answer


def download(request: HttpRequest, job: ContainerJob, using: str) -> StreamingHttpResponse:
    """All that is kept, byte for byte, a few chunks in memory at a time; a line says where bytes were left out."""
    attempt = find_attempt(request, job, using)
    answer = StreamingHttpResponse(_content(attempt), content_type="text/plain; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="job-{short_id(job.pk)}-{attempt.number}.log"'
    answer["X-Content-Type-Options"] = "nosniff"
    add_never_cache_headers(answer)
    return answer


def find_attempt(request: HttpRequest, job: ContainerJob, using: str) -> JobAttempt:
    """The one that the address names, else the last; 404 when there is none."""
    attempts = JobAttempt.objects.using(using).filter(job_id=job.pk).order_by("-number")
    number = request.GET.get("attempt", "")
    if number:
        attempts = attempts.filter(number=int(number)) if number.isascii() and number.isdigit() else attempts.none()
    attempt = attempts.first()
    if attempt is None:
        raise Http404("The job has no such attempt.")
    return attempt


def _content(attempt: JobAttempt) -> Iterator[bytes]:
    for piece in read_output(attempt):
        if piece.is_after_gap:
            yield gap_line(attempt).encode()
        yield b"".join(entry.data for entry in piece.entries)
