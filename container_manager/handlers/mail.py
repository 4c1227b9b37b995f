"""Mail to the project's ``ADMINS``: what failed, and which queue nobody serves."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from django.core.mail import mail_admins

from container_manager import conf
from container_manager.handlers.registry import UNSERVED, Rule
from container_manager.models import ContainerJob, HandlerCall

HANDLER: Final = "mail:admins"
_LINES: Final = 20


def rules_for(event: str) -> Iterable[Rule]:
    return [Rule(HANDLER, event)] if event in conf.get("MAIL_ADMINS") else ()


def send(call: HandlerCall) -> None:
    """The mail of ``call`` was handed to Django's mail backend; raises what that raises."""
    if call.event == UNSERVED or call.job is None:
        mail_admins(
            f"Nobody serves the queue {call.subject}",
            f"Jobs wait in the queue {call.subject!r}, and no live worker has an active host that serves it.\n"
            "'manage.py containers check' says what is there.\n",
        )
        return
    mail_admins(f"Job {call.job.name or call.job.pk} {call.event}", _text(call.job, call.event))


def _text(job: ContainerJob, event: str) -> str:
    known = {
        "job": str(job.pk), "name": job.name, "definition": job.definition, "queue": job.queue, "tenant": job.tenant,
        "outcome": job.outcome, "exit code": "" if job.exit_code is None else str(job.exit_code),
        "attempt": str(job.attempt), "error": job.error,
    }  # fmt: skip
    lines = [f"{name}: {value}" for name, value in {"event": event, **known}.items() if value]
    output = job.output(tail=_LINES)
    return "\n".join([*lines, *(["", "Its last lines:", "", output] if output else [])]) + "\n"
