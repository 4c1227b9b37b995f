"""Pages by cursor: as fast at the end of a long list as at its beginning."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from rest_framework import exceptions
from rest_framework.pagination import CursorPagination

from container_manager.api.problems import bad_query


class QueuePagination(CursorPagination):
    """``?cursor=`` and ``?page_size=``, at most 200; newest first."""

    page_size = 50
    max_page_size = 200
    page_size_query_param = "page_size"
    ordering = "-id"

    def paginate_queryset(self, queryset: Any, request: Any, view: Any = None) -> Any:
        try:
            return super().paginate_queryset(queryset, request, view)
        except (exceptions.NotFound, ValidationError, ValueError, OverflowError) as error:
            raise bad_query({"cursor": ["Not a cursor of this list: begin anew without one."]}) from error


class OldestFirst(QueuePagination):
    ordering = "id"


class ByNumber(QueuePagination):
    ordering = "number"


class ByName(QueuePagination):
    ordering = "name"
