"""PostgreSQL only: every change of a job's row is an entry in each of its indexes; those that few jobs need get few."""

from typing import Any

from django.db import migrations

JOBS = "container_manager_containerjob"
LIKE = f"{JOBS}_unique_slot_e3297397_like"
"""Made with every unique text, for LIKE; slots are digests and only ever compared."""
ALL_TEMPLATES = f"{JOBS}_environment_template_id_173d4ae7"
TEMPLATES = "cm_job_template"


def apply(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor != "postgresql":
        return
    for name in (LIKE, ALL_TEMPLATES):
        schema_editor.execute(f'DROP INDEX IF EXISTS "{name}"')
    columns = "(environment_template_id) WHERE environment_template_id IS NOT NULL"
    schema_editor.execute(f'CREATE INDEX "{TEMPLATES}" ON "{JOBS}" {columns}')


def revert(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor != "postgresql":
        return
    schema_editor.execute(f'DROP INDEX "{TEMPLATES}"')
    schema_editor.execute(f'CREATE INDEX "{ALL_TEMPLATES}" ON "{JOBS}" (environment_template_id)')
    schema_editor.execute(f'CREATE INDEX "{LIKE}" ON "{JOBS}" (unique_slot varchar_pattern_ops)')


class Migration(migrations.Migration):
    dependencies = [("container_manager", "0014_stored_output")]

    operations = [migrations.RunPython(apply, revert)]
