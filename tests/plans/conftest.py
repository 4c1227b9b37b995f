"""A deep backlog for all tests that change nothing for good, and a smaller one for each of the others."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.management import call_command
from django.db import connection
from pytest_django import DjangoDbBlocker

from container_manager.executors.fake import FakeEngine, engine
from container_manager.models import ExecutorHost
from tests.plans import backlog


@pytest.fixture
def fake_engine() -> Iterator[FakeEngine]:
    fake = engine("plan-tests")
    yield fake
    fake.reset()


@pytest.fixture(scope="module")
def deep(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Committed; a test that asks for it needs the marker ``django_db``, which undoes what the test does."""
    with django_db_blocker.unblock():
        try:
            backlog.fill(create_host(), backlog.DEEP)
            yield
        finally:
            call_command("flush", verbosity=0, interactive=False)


@pytest.fixture
def deep_host(deep: None, db: None) -> ExecutorHost:
    """The host that serves the deep backlog."""
    return ExecutorHost.objects.get()


@pytest.fixture
def host(transactional_db: None) -> Iterator[ExecutorHost]:
    """The host of a backlog that the test may change for good."""
    row = create_host()
    backlog.fill(row, backlog.DEEP_ENOUGH)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # At this size it may be the cheaper plan; the question is whether an index serves.
            cursor.execute("SET enable_seqscan = off")
        yield row
        if connection.vendor == "postgresql":
            cursor.execute("RESET enable_seqscan")


def create_host() -> ExecutorHost:
    return ExecutorHost.objects.create(
        name="fake", executor_type="fake", options={"engine": "plan-tests"}, queues=["default", "other"],
        max_concurrent_jobs=1_000,
    )  # fmt: skip
