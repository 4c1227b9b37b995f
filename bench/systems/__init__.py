"""The systems that are measured. Each is a module; ``bench.child`` calls its functions in a process of their own."""

from typing import Final

ON_POSTGRESQL: Final = (
    "own", "own_prepared", "floor", "procrastinate", "pgqueuer", "django_tasks_db", "django_q2", "huey", "celery",
)  # fmt: skip
"""All that queue jobs there, or are measured beside those that do."""
