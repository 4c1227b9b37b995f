"""What an extra installs is imported by those who use it, and by nobody else."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXTRAS = {
    "django_filters", "django_htmx", "django_tasks", "docker", "drf_spectacular", "httpx", "kubernetes",
    "opentelemetry", "prometheus_client", "requests", "rest_framework", "rich",
}  # fmt: skip
PROJECT = """
from django.conf import settings
settings.configure(
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "container_manager"],
    DATABASES={{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}}},
    TEMPLATES=[{{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}}],
    CONTAINER_MANAGER={{"ALLOW_PROCESS_EXECUTOR": True}},
)
import django
django.setup()
from django.core.management import call_command
from container_manager import queue_manager
from container_manager.models import ContainerJob
call_command("migrate", verbosity=0)
call_command("check")
queue_manager.queue_job(ContainerJob.objects.create(command="true"))
import container_manager.worker
import container_manager.health
{more}
"""


def imported_packages(more: str = "") -> set[str]:
    """The packages that a small project with the app imports, by the interpreter's own account."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", PROJECT.format(more=more)],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    lines = [line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {name.partition(".")[0] for name in lines}


def test_a_project_that_uses_no_extra_imports_none() -> None:
    packages = imported_packages()
    assert "container_manager" in packages
    assert packages.isdisjoint(EXTRAS)


USES = {
    "container_manager.urls": {"prometheus_client"},
    "container_manager.management.command": {"rich"},
    "container_manager.task_backend": {"django_tasks"},
    "container_manager.api.urls": {"django_filters", "drf_spectacular", "requests", "rest_framework"},
    "container_manager.telemetry": set(),
}
"""What whoever imports a face imports too. REST framework takes requests where it is; Django 6 needs no backport."""


@pytest.mark.parametrize(("module", "extras"), USES.items(), ids=list(USES))
def test_a_face_imports_its_own_libraries_and_no_others(module: str, extras: set[str]) -> None:
    expected = extras - ({"django_tasks"} if find_spec("django.tasks") else set())
    assert imported_packages(f"import {module}") & EXTRAS == expected
