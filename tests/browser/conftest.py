"""Chromium, a live server on the test's database, and a real worker with the process executor."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.contrib.auth.models import Permission, User
from django.test import Client
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright
from pytest_django.live_server_helper import LiveServer

from container_manager.hosts import node_name
from container_manager.models import ExecutorHost
from tests.processes import ending, spawn_worker
from tests.services import chromium, require_service

WAIT_SECONDS = 60.0
"""How long a page may take to show what is expected."""
CHROMIUM = Path(__file__).parent / "chromium_without_netlink.py"


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """One browser for the folder. Playwright's event loop runs in this thread, so Django must not mind it."""
    require_service("chromium")
    before = os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        environment: dict[str, str | float | bool] = {**os.environ, "CHROMIUM": chromium()}
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"], env=environment)
        yield started
        started.close()
    if before is None:
        del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]
    else:
        os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = before


@dataclass
class Visits:
    """Opens pages as a user; at the end of the test no page may have had an error."""

    browser: Browser
    address: str
    problems: list[str] = field(default_factory=list)
    allowed: list[str] = field(default_factory=list)
    """Texts of errors that the test provokes."""

    def open(self, user: User, path: str = "/admin/container_manager/", **options: Any) -> Page:
        """``path`` as ``user`` sees it. ``options`` are the browser context's: ``color_scheme``, ``viewport``."""
        context = self.browser.new_context(base_url=self.address, **options)
        context.set_default_timeout(WAIT_SECONDS * 1_000)
        client = Client()
        client.force_login(user)
        session = client.cookies[settings.SESSION_COOKIE_NAME].value
        context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": self.address}])
        page = context.new_page()
        page.on("console", self._note_message)
        page.on("pageerror", lambda error: self._note(str(error)))
        page.on("request", self._refuse_others)
        page.goto(path)
        return page

    def close(self) -> None:
        """Every page is closed; fails with the errors that were seen."""
        for context in self.browser.contexts:
            context.close()
        assert not self.problems

    def _note_message(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.location["url"].endswith("/favicon.ico"):
            self._note(f"{message.text} ({message.location['url']})")

    def _note(self, text: str) -> None:
        if not any(known in text for known in self.allowed):
            self.problems.append(text)

    def _refuse_others(self, request: Request) -> None:
        if not request.url.startswith((self.address, "data:", "blob:", "about:")):
            self.problems.append(f"asked another server: {request.url}")


@pytest.fixture
def visits(transactional_db: None, live_server: LiveServer, browser: Browser) -> Iterator[Visits]:
    opened = Visits(browser, live_server.url)
    yield opened
    opened.close()


@pytest.fixture
def superuser(transactional_db: None) -> User:
    return User.objects.create_superuser("boss", password="boss")


@pytest.fixture
def make_user(transactional_db: None) -> Callable[..., User]:
    """A member of staff with the named permissions of the app, and no other."""

    def make(name: str, *codenames: str) -> User:
        user = User.objects.create_user(name, password=name, is_staff=True)
        found = Permission.objects.filter(content_type__app_label="container_manager", codename__in=codenames)
        assert len(found) == len(codenames)
        user.user_permissions.set(found)
        return user

    return make


@pytest.fixture
def read_only_user(make_user: Callable[..., User]) -> User:
    """May look at everything but the output, and do nothing."""
    models = ("containerjob", "jobbatch", "executorhost", "worker", "handlercall", "environmenttemplate")
    return make_user("reader", *(f"view_{model}" for model in models))


@pytest.fixture
def local_host(transactional_db: None, tmp_path: Any) -> ExecutorHost:
    """Jobs as processes of this machine, kept in the test's own folder."""
    return ExecutorHost.objects.create(
        name="local",
        executor_type="process",
        node=node_name(),
        options={"state_directory": str(tmp_path)},
        max_concurrent_jobs=4,
    )


@pytest.fixture
def worker(local_host: ExecutorHost) -> Iterator[None]:
    """A worker process serves ``local_host`` while the test runs."""
    process = spawn_worker("--host", local_host.name)
    with ending(process):
        yield


def accessibility_problems(page: Page) -> list[str]:
    """What axe finds against WCAG 2.2 AA, one line each."""
    rules = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
    found = (
        Axe()
        .run(page, options={"runOnly": rules, "resultTypes": ["violations"], "preload": False})
        .response["violations"]
    )
    return [f"{problem['id']}: {node['target']} {node['html'][:200]}" for problem in found for node in problem["nodes"]]
