"""PostgreSQL only: how the hot tables are stored and vacuumed, and the indexes in which ``get_queue_stats`` counts."""

from typing import Any

from django.db import migrations

JOBS, ATTEMPTS, EVENTS = (f"container_manager_{name}" for name in ("containerjob", "jobattempt", "jobevent"))

OFTEN = {
    # At a million rows the defaults leave 200,000 dead ones, which claims and counts step over.
    "autovacuum_vacuum_scale_factor": "0.02",
    "autovacuum_analyze_scale_factor": "0.02",
    "autovacuum_vacuum_insert_scale_factor": "0.05",
}
STORAGE = {
    JOBS: OFTEN,
    # Room on the page for the row as it is after its start, which then touches no index.
    ATTEMPTS: {"fillfactor": "50", **OFTEN},
    EVENTS: {"autovacuum_vacuum_insert_scale_factor": "0.05"},
}
INDEXES = {
    "cm_job_exhausted": "(id) WHERE status = 'queued' AND retry_count >= max_retries",
    "cm_job_scheduled": "(scheduled_for) WHERE status = 'queued' AND scheduled_for IS NOT NULL",
    "cm_job_never_started": "(id) WHERE status = 'failed' AND launched_at IS NULL",
}


def apply(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor != "postgresql":
        return
    for table, settings in STORAGE.items():
        given = ", ".join(f"{name} = {value}" for name, value in settings.items())
        schema_editor.execute(f'ALTER TABLE "{table}" SET ({given})')
    for name, definition in INDEXES.items():
        schema_editor.execute(f'CREATE INDEX "{name}" ON "{JOBS}" {definition}')


def revert(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor != "postgresql":
        return
    for name in INDEXES:
        schema_editor.execute(f'DROP INDEX "{name}"')
    for table, settings in STORAGE.items():
        schema_editor.execute(f'ALTER TABLE "{table}" RESET ({", ".join(settings)})')


class Migration(migrations.Migration):
    dependencies = [("container_manager", "0012_files")]

    operations = [migrations.RunPython(apply, revert)]
