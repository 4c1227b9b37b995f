"""The migrations lead to the models, and back to nothing."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection

from container_manager.models import ContainerJob, JobAttempt

pytestmark = pytest.mark.django_db(transaction=True)


def tables() -> set[str]:
    return {name for name in connection.introspection.table_names() if name.startswith("container_manager_")}


def test_no_migration_is_missing() -> None:
    call_command("makemigrations", "container_manager", check=True, dry_run=True, verbosity=0)


def test_backwards_to_nothing_and_forwards_again() -> None:
    expected = {model._meta.db_table for model in apps.get_app_config("container_manager").get_models()}
    assert tables() == expected
    try:
        call_command("migrate", "container_manager", "zero", verbosity=0, interactive=False)
        assert tables() == set()
    finally:
        call_command("migrate", "container_manager", verbosity=0, interactive=False)
    assert tables() == expected
    assert ContainerJob.objects.create(command="true").pk


def test_every_index_and_constraint_of_the_models_is_in_the_database() -> None:
    for model in (ContainerJob, JobAttempt):
        with connection.cursor() as cursor:
            found = connection.introspection.get_constraints(cursor, model._meta.db_table)
        wanted = {index.name for index in model._meta.indexes} | {
            constraint.name for constraint in model._meta.constraints
        }
        assert wanted <= set(found), wanted - set(found)


def test_the_ready_index_is_in_the_order_of_the_queue() -> None:
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, ContainerJob._meta.db_table)["cm_job_ready"]
    lead = [] if connection.features.supports_partial_indexes else ["status", "hold"]
    assert found["columns"] == [*lead, "queue", "priority", "queued_at", "id"]
    assert found["orders"] == [*["ASC" for _ in lead], "ASC", "DESC", "ASC", "ASC"]
