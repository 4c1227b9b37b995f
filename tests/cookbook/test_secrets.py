"""The page about secrets: the job has them, and nothing that is kept of it does."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from container_manager.models import ContainerJob, JobEvent
from container_manager.states import Status
from tests.cookbook.pages import blocks_of, names_of

pytestmark = pytest.mark.django_db(transaction=True)

TOKEN, PASSWORD, KEY = "t0ken-b111", "p4ssw0rd-db", "-----BEGIN KEY-----\nMIIBOgIBAAJBAKj34\n"


@pytest.fixture
def export(settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The page's definition, its secrets being there."""
    settings.EXPORT_IMAGE = "busybox:local"
    settings.VAULT = {"export/db": PASSWORD}
    settings.SIGNING_KEY = str(tmp_path / "key.pem")
    Path(settings.SIGNING_KEY).write_text(KEY)
    monkeypatch.setenv("BILLING_TOKEN", TOKEN)
    vault, jobs = blocks_of("secrets.md")
    module = ModuleType("billing.vault")
    module.__dict__.update(names_of("secrets.md", [vault]))
    monkeypatch.setitem(sys.modules, "billing", ModuleType("billing"))
    monkeypatch.setitem(sys.modules, "billing.vault", module)
    return names_of("secrets.md", [jobs])["Export"]


def test_the_job_has_its_secrets_and_its_output_has_not(
    engine_host: None, export: Any, drain: Callable[[], object]
) -> None:
    job: ContainerJob = export.queue()
    drain()
    job.refresh_from_db()
    assert (job.status, job.error) == (Status.COMPLETED, "")
    assert job.output() == "signing in to https://billing.example.com with ******** as export, ********\n"
    kept = [str(list(rows.values())) for rows in (ContainerJob.objects.all(), JobEvent.objects.all())]
    assert not [secret for secret in (TOKEN, PASSWORD, KEY.split()[2]) if secret in "".join(kept)]
    assert job.secrets["API_TOKEN"] == "env:BILLING_TOKEN"


def test_a_changed_secret_counts_from_the_next_attempt_on_and_a_missing_one_is_named(
    process_host: object, export: Any, drain: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BILLING_TOKEN", "another-t0ken")
    changed = export.queue()
    drain()
    monkeypatch.delenv("BILLING_TOKEN")
    missing = export.queue()
    drain()
    changed.refresh_from_db()
    missing.refresh_from_db()
    assert "with ******** as" in changed.output()
    assert (missing.status, missing.outcome, missing.attempt) == (Status.FAILED, "config_error", 1)
    assert "BILLING_TOKEN" in missing.error
