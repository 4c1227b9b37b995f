"""Log lines on standard error, as text or as JSON objects."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

FIELDS: Final = ("job", "attempt", "host", "worker", "verb", "actor")
"""What a line may say beyond its message: the names under ``extra`` that the package uses."""
TEXT: Final = "%(asctime)s %(levelname)-7s %(message)s"


class JsonFormatter(logging.Formatter):
    """One JSON object a line: ``at`` in UTC, ``level``, ``logger``, ``message``, its ``FIELDS``, ``exception``."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        """``fields`` are on every line."""
        super().__init__()
        self._fields = fields

    def format(self, record: logging.LogRecord) -> str:
        values = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **self._fields,
        }
        values |= {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}
        if record.exc_info:
            values["exception"] = self.formatException(record.exc_info)
        return json.dumps(values, default=str)


def log_to_stderr(form: str, level: int, fields: Mapping[str, str]) -> None:
    """
    Lines of this package from ``level`` on go to standard error as ``text`` or ``json``, and nowhere else.

    ``fields`` are on every JSON line. Others' warnings go there too where the project configured nothing for them.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(fields) if form == "json" else logging.Formatter(TEXT))
    package, root = logging.getLogger("container_manager"), logging.getLogger()
    package.handlers[:], package.propagate = [handler], False
    package.setLevel(level)
    if not root.handlers:
        root.addHandler(handler)


def is_configured() -> bool:
    """Whether the project has said where this package's lines go."""
    return logging.getLogger("container_manager").hasHandlers()
