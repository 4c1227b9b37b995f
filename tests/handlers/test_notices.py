"""The administrators are told of failures, and of queues that nobody serves."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.db.models import F
from django.test import override_settings
from django.utils import timezone

from container_manager import queue_manager
from container_manager.checks import check_settings
from container_manager.executors.fake import Script
from container_manager.handlers import on_queue_unserved
from container_manager.models import ContainerJob, ExecutorHost, HandlerCall, Worker
from container_manager.sql.clock import DatabaseNow
from container_manager.worker import unserved
from tests.handlers import told

pytestmark = pytest.mark.django_db(transaction=True)

ADMINS: dict[str, Any] = {"ADMINS": [("Ada", "ada@example.com")]}


@override_settings(CONTAINER_MANAGER={"MAIL_ADMINS": ["failed"]}, **ADMINS)
def test_a_failure_is_mailed_with_its_exit_code_and_last_lines(host: ExecutorHost, drain: Callable[[], None]) -> None:
    command = Script(exit_code=3, stderr="no space left\n").command()
    queue_manager.create_and_queue(command=command, name="nightly", environment={"PASSWORD": "hidden"})
    queue_manager.create_and_queue(command=Script().command())
    drain()
    [message] = mail.outbox
    assert message.to == ["ada@example.com"]
    assert "Job nightly failed" in message.subject
    assert "exit code: 3" in message.body
    assert "no space left" in message.body
    assert "hidden" not in message.body


def wait_for_long(queue: str) -> None:
    queue_manager.create_and_queue(command="true", queue=queue)
    ContainerJob.objects.filter(queue=queue).update(queued_at=F("queued_at") - timedelta(minutes=10))


def serving(host: ExecutorHost) -> Worker:
    return Worker.objects.create(
        node="here", process_id=1, hosts=[host.pk], started_at=timezone.now(), heartbeat_at=DatabaseNow()
    )


@override_settings(CONTAINER_MANAGER={"MAIL_ADMINS": ["unserved"]}, **ADMINS)
def test_a_queue_that_nobody_serves_is_told_of_once_a_day(host: ExecutorHost, drain: Callable[[], None]) -> None:
    on_queue_unserved(told.queue_told)
    serving(host)
    wait_for_long("default")
    wait_for_long("media")
    queue_manager.create_and_queue(command="true", queue="just-now")
    assert unserved.unserved_queues("default") == ["media"]
    assert unserved.tell_of_unserved_queues("default") == 2
    assert unserved.tell_of_unserved_queues("default") == 0
    drain()
    assert [message.subject for message in mail.outbox] == ["[Django] Nobody serves the queue media"]
    assert told.calls() == {"media": 1}
    HandlerCall.objects.all().delete()


def test_a_drained_host_or_a_dead_worker_serves_nobody(host: ExecutorHost) -> None:
    worker = serving(host)
    wait_for_long("default")
    assert unserved.unserved_queues("default") == []
    ExecutorHost.objects.update(is_active=False)
    assert unserved.unserved_queues("default") == ["default"]
    ExecutorHost.objects.update(is_active=True)
    Worker.objects.filter(pk=worker.pk).update(heartbeat_at=timezone.now() - timedelta(hours=1))
    assert unserved.unserved_queues("default") == ["default"]


@override_settings(CONTAINER_MANAGER={"MAIL_ADMINS": ["fail"]})
def test_an_unknown_event_is_an_error_of_the_system_check() -> None:
    [found] = check_settings()
    assert "unknown event 'fail'" in found.msg
