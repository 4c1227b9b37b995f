"""The output of a job: pages by cursor, long polls, and a stream of events under ASGI."""

from __future__ import annotations

import asyncio
import codecs
import json
import re
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.db import connections
from django.http import Http404, HttpResponse, HttpResponseBase, StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework import serializers
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from container_manager.api.jobs import JobView
from container_manager.api.problems import ProblemError, bad_query
from container_manager.api.schema import described
from container_manager.models import ContainerJob, JobAttempt
from container_manager.models.output import OutputPosition, gap_line, read_output
from container_manager.specs import LogEntry, Stream
from container_manager.states import TERMINAL
from container_manager.validation import LARGEST_INTEGER

LONGEST_WAIT: Final = 30
LOOK_SECONDS: Final = 0.25
MOST_BYTES: Final = 1 << 20
HEARTBEAT_SECONDS: Final = 15.0
STREAM_SECONDS: Final = 300.0
"""So long a stream lives; clients connect again where it ended."""


CURSOR: Final = re.compile(r"([0-9]{1,9})\.([0-9]{1,9})\.([0-9]{1,9})")


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a reader has come: ``ATTEMPT.CHUNK.ENTRIES``."""

    attempt: int
    position: OutputPosition = field(default_factory=OutputPosition)

    def __str__(self) -> str:
        return f"{self.attempt}.{self.position.sequence}.{self.position.entries}"

    @classmethod
    def parse(cls, text: str) -> Cursor:
        parts = text.split(".")
        if len(parts) != 3 or not all(
            part.isascii() and part.isdigit() and int(part) <= LARGEST_INTEGER for part in parts
        ):
            raise ValueError(f"{text!r} is not a cursor.")
        attempt, sequence, entries = map(int, parts)
        return cls(attempt, OutputPosition(sequence, entries))


@dataclass(slots=True)
class Page:
    """Output after a cursor. ``is_complete``: the job, or the one attempt that was asked for, has said all."""

    after: Cursor
    entries: list[LogEntry] = field(default_factory=list)
    is_complete: bool = False


class OutputReader:
    """Reads a job's output on from a cursor, from attempt to attempt unless ``only`` one is wanted."""

    def __init__(self, job: ContainerJob, *, stream: str | None = None, only: int | None = None) -> None:
        self._job, self._stream, self._only = job, stream, only
        self._using = job.write_alias

    def begin(self) -> Cursor:
        """Before the first entry of the wanted attempt, or of the last."""
        return Cursor(self._only or max(self._job.attempt, 1))

    def read(self, cursor: Cursor, limit: int) -> Page:
        """About ``limit`` bytes at most."""
        self._job.refresh_from_db(using=self._using, fields=["status", "attempt"])
        is_ended = self._job.status in TERMINAL
        attempt = self._attempt(cursor.attempt)
        is_over = is_ended or (attempt is not None and attempt.finished_at is not None)
        page = self._read(attempt, cursor, limit) if attempt else Page(cursor)
        if not is_over or page.after != cursor:
            return page
        if self._only is None and cursor.attempt < self._job.attempt:
            page.after = Cursor(cursor.attempt + 1)
        else:
            page.is_complete = is_ended or self._only is not None
        return page

    def _attempt(self, number: int) -> JobAttempt | None:
        return JobAttempt.objects.using(self._using).filter(job_id=self._job.pk, number=number).first()

    def _read(self, attempt: JobAttempt, cursor: Cursor, limit: int) -> Page:
        page, taken = Page(cursor), 0
        for piece in read_output(attempt, cursor.position):
            if piece.is_after_gap:
                page.entries.append(LogEntry(Stream.STDERR, gap_line(attempt).encode()))
            page.entries += [entry for entry in piece.entries if self._stream in (None, entry.stream)]
            page.after = Cursor(attempt.number, piece.position)
            taken += sum(len(entry.data) for entry in piece.entries)
            if taken >= limit:
                break
        return page


class LogQuerySerializer(serializers.Serializer):
    after = serializers.CharField(required=False, help_text="The cursor of the page before; none = the beginning.")
    attempt = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=LARGEST_INTEGER,
        help_text="Only this one; default: the last, and those to come.",
    )
    stream = serializers.ChoiceField([stream.value for stream in Stream], required=False)
    limit = serializers.IntegerField(
        required=False, min_value=1, max_value=MOST_BYTES, default=MOST_BYTES, help_text="About so many bytes at most."
    )
    wait = serializers.IntegerField(
        required=False, min_value=0, max_value=LONGEST_WAIT, default=0, help_text="Seconds to wait for more."
    )

    def validate_after(self, text: str) -> Cursor:
        try:
            return Cursor.parse(text)
        except ValueError as error:
            raise serializers.ValidationError(str(error)) from error


class LogEntrySerializer(serializers.Serializer):
    stream = serializers.ChoiceField([stream.value for stream in Stream])
    at = serializers.DateTimeField(allow_null=True)
    text = serializers.CharField(allow_blank=True, help_text="A piece of output, not necessarily a line.")


class LogPageSerializer(serializers.Serializer):
    entries = LogEntrySerializer(many=True)
    after = serializers.CharField(help_text="The cursor for the next page.")
    is_complete = serializers.BooleanField(help_text="There is nothing more to come.")


class PlainTextRenderer(BaseRenderer):
    """Chosen by ``Accept: text/plain``; the view answers with the bytes themselves."""

    media_type = "text/plain"
    format = "txt"

    def render(self, data: Any, *_: Any) -> bytes:
        return json.dumps(data).encode()


class LogsView(JobView):
    """The output of a job."""

    needs: ClassVar = {"get": "view_logs_containerjob"}
    renderer_classes: ClassVar[list[Any]] = [JSONRenderer, PlainTextRenderer]

    @described(
        operation_id="jobs_logs",
        parameters=[LogQuerySerializer],
        responses={
            (200, "application/json"): LogPageSerializer,
            (200, "text/plain"): OpenApiTypes.STR,
        },
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """
        Output after a cursor, oldest first.

        As plain text it is the bytes as they came, both streams in order; the cursor is in `X-Log-After`, and
        `X-Log-Complete` says whether there is more to come.
        """
        job = self.job()
        query = LogQuerySerializer(data=request.query_params)
        if not query.is_valid():
            raise bad_query(query.errors)
        asked = query.validated_data
        reader = OutputReader(job, stream=asked.get("stream"), only=asked.get("attempt"))
        page = _wait(reader, asked.get("after") or reader.begin(), asked["limit"], asked["wait"], job.write_alias)
        if request.accepted_renderer.format == "txt":
            return HttpResponse(
                b"".join(entry.data for entry in page.entries), content_type="text/plain; charset=utf-8",
                headers={"X-Log-After": str(page.after), "X-Log-Complete": str(page.is_complete).lower()},
            )  # fmt: skip
        response: HttpResponseBase = Response({
            "entries": list(_as_json(page.entries)), "after": str(page.after), "is_complete": page.is_complete,
        })  # fmt: skip
        return response


def _wait(reader: OutputReader, cursor: Cursor, limit: int, seconds: int, using: str) -> Page:
    # Inside a transaction what others write may never be seen: then there is no waiting.
    deadline = time.monotonic() + (0 if connections[using].in_atomic_block else seconds)
    while True:
        page = reader.read(cursor, limit)
        if page.entries or page.is_complete or time.monotonic() >= deadline:
            return page
        cursor = page.after
        time.sleep(LOOK_SECONDS)


def _as_json(entries: list[LogEntry]) -> Iterator[dict[str, Any]]:
    decoders = {stream: codecs.getincrementaldecoder("utf-8")("replace") for stream in Stream}
    last = {entry.stream: place for place, entry in enumerate(entries)}
    for place, entry in enumerate(entries):
        text = decoders[entry.stream].decode(entry.data, final=place == last[entry.stream])
        yield {"stream": entry.stream.value, "at": entry.at, "text": text}


class EventStreamRenderer(BaseRenderer):
    media_type = "text/event-stream"
    format = "sse"

    def render(self, data: Any, *_: Any) -> bytes:
        return json.dumps(data).encode()


class LogStreamView(JobView):
    """The output of a job as server-sent events."""

    needs: ClassVar = {"get": "view_logs_containerjob"}
    renderer_classes: ClassVar[list[Any]] = [EventStreamRenderer]

    @described(
        operation_id="jobs_logs_stream",
        parameters=[OpenApiParameter("Last-Event-ID", str, OpenApiParameter.HEADER, description="Where to go on.")],
        responses={(200, "text/event-stream"): OpenApiResponse(OpenApiTypes.STR, "`output` events, then `end`.")},
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """
        Output as it comes, under an ASGI server; elsewhere 406: poll `logs/` with `wait`.

        An event `output` has JSON with `stream`, `at` and `text`; the last of those that were read together has the
        cursor as its id, so that after a new connection some may come twice and none is missing. `end` comes last.
        """
        job = self.job()
        if not isinstance(request._request, ASGIRequest):
            raise ProblemError(406, "needs-asgi", "This server cannot stream: poll logs/ with wait=30 instead.")
        reader = OutputReader(job)
        try:
            known = request.headers.get("Last-Event-ID")
            cursor = Cursor.parse(known) if known else reader.begin()
        except ValueError as error:
            raise ProblemError(400, "malformed", str(error)) from error
        return StreamingHttpResponse(
            self._events(reader, cursor), content_type="text/event-stream",
            headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
        )  # fmt: skip

    async def _events(self, reader: OutputReader, cursor: Cursor) -> AsyncIterator[str]:
        end = time.monotonic() + STREAM_SECONDS
        beat = time.monotonic()
        while time.monotonic() < end:
            page = await sync_to_async(self._look)(reader, cursor)
            if page is None:
                return
            cursor = page.after
            for place, entry in enumerate(_as_json(page.entries), start=1):
                beat = time.monotonic()
                entry["at"] = entry["at"].isoformat() if entry["at"] else None
                # Only with the last: a reader that is cut off before it must not skip the rest.
                mark = f"id: {cursor}\n" if place == len(page.entries) else ""
                yield f"event: output\n{mark}data: {json.dumps(entry)}\n\n"
            if page.is_complete:
                yield f"event: end\nid: {cursor}\ndata: {{}}\n\n"
                return
            if time.monotonic() - beat >= HEARTBEAT_SECONDS:
                beat = time.monotonic()
                yield ": still here\n\n"
            if not page.entries:
                await asyncio.sleep(LOOK_SECONDS)

    def _look(self, reader: OutputReader, cursor: Cursor) -> Page | None:
        try:
            self.job()
        except Http404:
            # It was deleted, or is no longer this user's to see.
            return None
        return reader.read(cursor, MOST_BYTES)
