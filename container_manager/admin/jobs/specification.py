"""What a job runs, for reading: values that look like secrets are masked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.utils.translation import gettext as _
from django.views.debug import SafeExceptionReporterFilter

from container_manager.describing import command_text
from container_manager.models import ContainerJob

_SECRET: Final = SafeExceptionReporterFilter.hidden_settings
MASK: Final = "••••••••"


@dataclass(frozen=True, slots=True)
class Fact:
    """``is_code``: shown as it would be typed."""

    label: str
    value: str
    is_code: bool = False


def specification(job: ContainerJob) -> Iterator[Fact]:
    """Every part that says something."""
    return (fact for fact in (*_what(job), *_where(job), *_limits(job), *_whence(job)) if fact.value)


def is_secret(name: str) -> bool:
    """Whether Django would hide the value of such a name in an error report."""
    return _SECRET.search(name) is not None


def masked(values: Mapping[str, Any]) -> str:
    """One ``NAME=value`` a line, secrets masked."""
    return "\n".join(f"{name}={MASK if is_secret(name) else value}" for name, value in values.items())


def _what(job: ContainerJob) -> Iterator[Fact]:
    yield Fact(_("Image"), job.image, is_code=True)
    yield Fact(_("Command"), command_text(job) + (_(" (by /bin/sh)") if job.shell else ""), is_code=True)
    yield Fact(_("Entrypoint"), str(job.entrypoint or ""), is_code=True)
    yield Fact(_("Environment"), masked(job.environment), is_code=True)
    template = job.environment_template
    yield Fact(_("Environment template"), template.name if template else "")
    yield Fact(_("Secrets"), ", ".join(job.secrets))
    yield Fact(_("Working directory"), job.working_directory, is_code=True)
    yield Fact(_("User"), job.user)


def _where(job: ContainerJob) -> Iterator[Fact]:
    yield Fact(_("Queue"), job.queue)
    yield Fact(_("Priority"), str(job.priority))
    yield Fact(_("Network"), job.network)
    yield Fact(_("GPUs"), job.gpus)
    yield Fact(_("Labels"), "\n".join(f"{name}={value}" for name, value in job.labels.items()), is_code=True)


def _limits(job: ContainerJob) -> Iterator[Fact]:
    yield Fact(_("Memory"), f"{job.memory_limit} MiB" if job.memory_limit else "")
    yield Fact(_("CPU"), _("%(cores)g cores") % {"cores": job.cpu_limit} if job.cpu_limit else "")
    yield Fact(_("Time limit"), f"{job.timeout_seconds} s" if job.timeout_seconds else "")
    yield Fact(_("Waits at most"), f"{job.queue_timeout_seconds} s" if job.queue_timeout_seconds else "")
    yield Fact(
        _("Launches allowed"), _("%(count)d, %(failed)d failed") % {"count": job.max_retries, "failed": job.retry_count}
    )
    yield Fact(_("Retry policy"), job.retry_policy)
    yield Fact(_("When lost"), job.get_on_lost_display())


def _whence(job: ContainerJob) -> Iterator[Fact]:
    yield Fact(_("Definition"), job.definition)
    yield Fact(_("Parameters"), masked(job.parameters), is_code=True)
    yield Fact(_("Tenant"), job.tenant)
    yield Fact(_("Unique key"), job.unique_key or "", is_code=True)


def as_json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
