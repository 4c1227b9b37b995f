"""Hosts, workers and handlers in the browser: each main way in three clicks at most."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from playwright.sync_api import expect

from container_manager import queue_manager
from container_manager.exceptions import JobFailedError
from container_manager.executors.fake import engine
from container_manager.models import ExecutorHost, HandlerCall
from tests.browser.conftest import WAIT_SECONDS, Visits, accessibility_problems

pytestmark = pytest.mark.browser
APP = "/admin/container_manager/"
HOSTS = f"{APP}executorhost/"
WAIT = WAIT_SECONDS * 1_000


@pytest.fixture
def unreachable() -> Iterator[None]:
    """The fake engine that the live server, a thread of this process, finds too."""
    engine("browser").is_reachable = False
    yield
    engine("browser").is_reachable = True


@pytest.mark.usefixtures("worker")
def test_a_host_is_drained_in_two_clicks_and_the_next_job_says_that_it_waits_for_it(
    visits: Visits, superuser: User, local_host: ExecutorHost
) -> None:
    page = visits.open(superuser)
    page.locator("#cm-hosts").get_by_role("link", name="local").click()
    page.get_by_role("button", name="Drain").click()
    expect(page.locator(".messagelist")).to_contain_text("takes no new jobs", timeout=WAIT)
    assert not ExecutorHost.objects.get(pk=local_host.pk).is_active
    job = queue_manager.create_and_queue(command="true", name="patient")
    page.goto(f"{APP}containerjob/{job.pk}/change/")
    expect(page.locator(".cm-why")).to_contain_text("local", timeout=WAIT)
    page.goto(f"{HOSTS}{local_host.pk}/change/")
    page.get_by_role("button", name="Resume").click()
    queue_manager.wait_for(job, timeout=WAIT_SECONDS)


@pytest.mark.usefixtures("unreachable")
def test_a_host_is_added_by_a_form_of_its_executor_s_that_asks_the_engine_first(
    visits: Visits, superuser: User
) -> None:
    page = visits.open(superuser, f"{HOSTS}add/?executor_type=docker")
    expect(page.get_by_label("Base URL")).to_have_value("unix:///var/run/docker.sock")
    page.get_by_role("navigation", name="Executor").get_by_role("link", name="Kubernetes").click()
    expect(page.get_by_label("Kubeconfig")).to_be_visible()
    expect(page.get_by_label("Base URL")).to_have_count(0)
    page.goto(f"{HOSTS}add/?executor_type=fake")
    page.get_by_label("Name").fill("new")
    page.get_by_label("Engine").fill("browser")
    page.get_by_role("button", name="Check the connection").click()
    expect(page.locator(".errorlist")).to_contain_text("The connection does not work", timeout=WAIT)
    expect(page.get_by_label("Engine")).to_have_value("browser")
    assert not accessibility_problems(page)
    assert not ExecutorHost.objects.exists()
    engine("browser").is_reachable = True
    page.get_by_role("button", name="Check the connection").click()
    expect(page.locator("#cm-answer")).to_contain_text("The engine answers", timeout=WAIT)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#cm-hosts").get_by_role("link", name="new")).to_be_visible(timeout=WAIT)
    assert ExecutorHost.objects.get().options == {"engine": "browser"}


def test_from_the_dashboard_a_call_that_failed_is_tried_again_in_two_clicks(visits: Visits, superuser: User) -> None:
    call = HandlerCall.objects.create(
        handler="webhook:billing", event="failed", subject="default", tries=12, state="failed",
        finished_at=timezone.now(), last_error="Traceback\nConnectionError: no route to billing.example",
    )  # fmt: skip
    page = visits.open(superuser)
    page.get_by_role("link", name="Calls (1 call of webhook:billing was given up)").click()
    page.locator(".cm-trace summary").click()
    expect(page.locator(".cm-trace pre")).to_contain_text("no route to billing.example")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".messagelist")).to_contain_text("1 call is due now", timeout=WAIT)
    assert HandlerCall.objects.get(pk=call.pk).state == HandlerCall.State.WAITING


@pytest.mark.usefixtures("worker")
def test_a_worker_leads_to_the_job_it_runs(visits: Visits, superuser: User) -> None:
    job = queue_manager.create_and_queue(command=["sleep", "600"], name="sleeper")
    page = visits.open(superuser, f"{APP}worker/")
    page.get_by_label("Refresh every").select_option("2")
    page.get_by_role("link", name="sleeper").click()
    expect(page.get_by_role("heading", name="sleeper")).to_be_visible(timeout=WAIT)
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Yes: Cancel").click()
    with pytest.raises(JobFailedError):
        queue_manager.wait_for(job, timeout=WAIT_SECONDS)


@pytest.mark.parametrize(("color_scheme", "width"), [("light", 1280), ("dark", 360)])
@pytest.mark.usefixtures("worker")
def test_every_page_is_accessible_and_fits_the_window(
    visits: Visits, superuser: User, local_host: ExecutorHost, color_scheme: str, width: int
) -> None:
    page = visits.open(superuser, color_scheme=color_scheme, viewport={"width": width, "height": 800})
    expect(page.locator("#cm-workers")).to_contain_text("Alive", timeout=WAIT)
    problems = []
    addresses = [f"{HOSTS}add/?executor_type={kind}" for kind in ("docker", "kubernetes", "process")]
    for address in (APP, HOSTS, f"{APP}worker/", f"{HOSTS}{local_host.pk}/change/", *addresses):
        page.goto(address)
        for folded in page.locator("details > summary").all():
            folded.click()
        problems += [f"{address}: {problem}" for problem in accessibility_problems(page)]
        if page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
            problems.append(f"{address} is wider than the window")
    assert not problems, "\n".join(problems)
