"""The two big charts: how many jobs ended, and how long they waited and ran."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from container_manager.admin.dashboard.history import Bucket, Window, buckets
from container_manager.wording import duration


@dataclass(frozen=True, slots=True)
class Charts:
    """``data`` is what the browser draws, ``rows`` the same as a table, ``summary`` one line of it."""

    data: Mapping[str, Any]
    rows: list[Bucket]
    summary: str
    bucket: str

    @property
    def filled(self) -> list[Bucket]:
        """The rows in which something happened, the latest first."""
        return [row for row in reversed(self.rows) if not row.is_empty]


def charts(window: Window, using: str) -> Charts:
    """Both charts of ``window``: one query."""
    rows = buckets(window, using)
    names = ("completed", "failed", "cancelled", "wait_p50", "wait_p95", "run_p50", "run_p95")
    data = {
        "zone": timezone.get_current_timezone_name(),
        "bucket": int(window.bucket.total_seconds()),
        "at": [int(row.start.timestamp()) for row in rows],
        **{name: [getattr(row, name) for row in rows] for name in names},
    }
    return Charts(data, rows, _summary(rows), duration(window.bucket.total_seconds()))


def _summary(rows: list[Bucket]) -> str:
    completed, failed = sum(row.completed for row in rows), sum(row.failed for row in rows)
    ended = completed + failed
    if not ended:
        return _("No job ended.")
    return _("%(completed)s completed, %(failed)s failed (%(share).1f %%).") % {
        "completed": f"{completed:,}",
        "failed": f"{failed:,}",
        "share": 100 * failed / ended,
    }
