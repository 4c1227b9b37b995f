"""A project that narrows who sees which jobs narrows every page of the admin."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client, override_settings

from container_manager.models import ContainerJob
from container_manager.models.job_queryset import JobQuerySet
from tests.admin.jobs.conftest import Ran, out

pytestmark = pytest.mark.django_db

ADMIN = "/admin/container_manager/containerjob/"


def of_acme(jobs: JobQuerySet, user: Any) -> JobQuerySet:
    return jobs.filter(tenant="acme")


@override_settings(CONTAINER_MANAGER={"VISIBLE_JOBS": "tests.admin.jobs.test_visibility.of_acme"})
def test_the_jobs_of_others_are_nowhere(boss: Client, ran: Ran) -> None:
    other = ran([out(b"confidential\n")], status="failed", tenant="other", name="theirs").job
    ContainerJob.objects.create(command="true", status="failed", tenant="acme", name="ours")
    listing = boss.get(ADMIN).context["listing"]
    assert [row.title for row in listing.rows] == ["ours"]
    assert {tab.text for tab in listing.tabs if tab.status == "failed"} == {"1"}
    for tail in ("change/", "edit/", "log/", "log/download/"):
        assert boss.get(f"{ADMIN}{other.pk}/{tail}").status_code in (302, 404)
    assert b"confidential" not in boss.get(f"{ADMIN}add/", {"clone": str(other.pk)}).content
    for values in ({"scope": "matching"}, {"jobs": str(other.pk)}, {"jobs": str(other.pk), "single": "1"}):
        boss.post(f"{ADMIN}bulk/?status=failed", {"action": "retry", "confirmed": "1", **values})
    other.refresh_from_db()
    assert other.status == "failed"
    assert ContainerJob.objects.get(name="ours").status == "queued"
