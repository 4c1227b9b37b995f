"""Jobs in the browser, run by a real worker: each main way in three clicks at most."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from playwright.sync_api import Locator, Page, expect

from container_manager import queue_manager
from container_manager.exceptions import JobFailedError
from container_manager.models import ContainerJob, HandlerCall, JobEvent, JobFile
from tests.browser.conftest import WAIT_SECONDS, Visits, accessibility_problems

pytestmark = pytest.mark.browser

JOBS: Final = "/admin/container_manager/containerjob/"
WAIT: Final = WAIT_SECONDS * 1_000
FAILS: Final = ["sh", "-c", "echo loading; printf '\\033[1;31mno space left\\033[0m <b>on</b> /data\\n' >&2; exit 3"]


def shows(locator: Locator, text: str) -> None:
    expect(locator).to_contain_text(text, timeout=WAIT)


def job_page(job: ContainerJob) -> str:
    return f"{JOBS}{job.pk}/change/"


def refresh_often(page: Page) -> None:
    page.get_by_label("Refresh every").select_option("2")


@pytest.mark.usefixtures("worker")
def test_from_the_list_to_the_cause_of_a_failure(visits: Visits, superuser: User) -> None:
    queue_manager.create_and_queue(command=FAILS, name="train")
    page = visits.open(superuser, JOBS)
    refresh_often(page)
    shows(page.locator("#cm-tab-failed"), "1")
    page.locator("#cm-tab-failed").click()
    page.get_by_role("link", name="train").click()
    shows(page.locator(".cm-cause"), "exit code 3")
    line = page.locator(".cm-err")
    shows(line, "no space left <b>on</b> /data")
    expect(line.locator(".cm-colour-1")).to_have_text("no space left")
    expect(line.locator("b")).to_have_count(0)


@pytest.mark.usefixtures("worker")
def test_all_that_failed_with_one_error_are_retried(visits: Visits, superuser: User) -> None:
    jobs = [queue_manager.create_and_queue(command=["sh", "-c", "exit 3"], max_retries=1) for _ in range(3)]
    other = queue_manager.create_and_queue(command=["sh", "-c", "exit 4"], max_retries=1)
    page = visits.open(superuser, f"{JOBS}?status=failed&error=Exit+code+3.")
    shows(page.locator("#cm-tab-failed"), "3")
    page.get_by_role("button", name="All that match").click()
    expect(page.get_by_role("heading", name="Retry: 3 jobs?")).to_be_visible(timeout=WAIT)
    page.get_by_role("button", name="Yes: Retry").click()
    shows(page.locator(".messagelist"), "Retry: 3 jobs done.")
    retried = JobEvent.objects.filter(actor="boss", verb="queue").values_list("job_id", flat=True)
    assert set(retried) == {job.pk for job in jobs}
    assert other.pk not in retried


@pytest.mark.usefixtures("worker")
def test_from_the_dashboard_all_that_failed_with_one_error_are_retried_in_three_clicks(
    visits: Visits, superuser: User
) -> None:
    jobs = [queue_manager.create_and_queue(command=["sh", "-c", "exit 3"], max_retries=1) for _ in range(2)]
    for job in jobs:
        with pytest.raises(JobFailedError):
            queue_manager.wait_for(job, timeout=WAIT_SECONDS)
    page = visits.open(superuser)
    shows(page.locator(".cm-attention"), "2 jobs failed: Exit code 3.")
    page.get_by_role("link", name="All of them (2 jobs failed: Exit code 3.)").click()
    shows(page.locator("#cm-tab-failed"), "2")
    page.get_by_role("button", name="All that match").click()
    page.get_by_role("button", name="Yes: Retry").click()
    shows(page.locator(".messagelist"), "Retry: 2 jobs done.")


@pytest.mark.usefixtures("worker")
def test_a_running_job_is_followed_and_a_reader_is_left_where_they_are(
    visits: Visits, superuser: User, tmp_path: Path
) -> None:
    second, last = tmp_path / "second", tmp_path / "last"
    script = (
        "i=0; while [ $i -lt 200 ]; do i=$((i+1)); echo first $i; done;"
        f"until [ -e {second} ]; do sleep 0.1; done; echo second; until [ -e {last} ]; do sleep 0.1; done; echo last"
    )
    job = queue_manager.create_and_queue(command=["sh", "-c", script], name="follow-me")
    page = visits.open(superuser, JOBS)
    page.get_by_role("link", name="follow-me").click()
    expect(page.locator("#cm-summary .cm-badge").first).to_have_text("Running", timeout=WAIT)
    page.goto(job_page(job))
    log = page.locator("#cm-log")
    shows(log, "first 200")
    expect(page.locator("#cm-log-state")).to_have_text("Following", timeout=WAIT)
    page.wait_for_function("() => { const l = document.getElementById('cm-log'); return l.scrollTop > 0 }")
    log.evaluate("log => { log.scrollTop = 0 }")
    second.touch()
    expect(page.get_by_role("button", name="New lines")).to_be_visible(timeout=WAIT)
    shows(log, "second")
    assert log.evaluate("log => log.scrollTop") == 0
    page.get_by_role("button", name="New lines").click()
    last.touch()
    expect(page.locator("#cm-log-state")).to_have_text("The attempt has ended", timeout=WAIT)
    shows(log, "last")
    assert log.evaluate("log => log.scrollHeight - log.scrollTop - log.clientHeight") < 40
    assert log.locator(".cm-ln").count() == 202


def test_it_says_why_a_job_waits(visits: Visits, superuser: User, local_host: Any) -> None:
    queue_manager.create_and_queue(command="true", name="stuck", queue="nobody")
    page = visits.open(superuser, JOBS)
    page.get_by_role("link", name="stuck").click()
    shows(page.locator(".cm-why"), "'nobody'")


@pytest.mark.usefixtures("worker")
def test_the_output_is_downloaded_byte_for_byte(visits: Visits, superuser: User) -> None:
    job = queue_manager.create_and_queue(command=["printf", "one\\n\\033[31mtwo\\n"])
    queue_manager.wait_for(job, timeout=WAIT_SECONDS)
    page = visits.open(superuser, job_page(job))
    with page.expect_download(timeout=WAIT) as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.path().read_bytes() == b"one\n\x1b[31mtwo\n"


def test_keys_move_and_tick_and_refreshing_takes_nothing_away(visits: Visits, superuser: User) -> None:
    for name in ("one", "two", "three"):
        ContainerJob.objects.create(command="true", name=name)
    page = visits.open(superuser, JOBS)
    refresh_often(page)
    for key in ("j", "j", "k", "j", "x"):
        page.keyboard.press(key)
    focused = page.locator("[data-cm-row]:focus")
    expect(focused).to_have_text("two", timeout=WAIT)
    ContainerJob.objects.create(command="true", name="four")
    expect(page.get_by_role("link", name="four")).to_be_visible(timeout=WAIT)
    expect(focused).to_have_text("two", timeout=WAIT)
    expect(page.locator("input[name=jobs]:checked")).to_have_count(1)
    shows(page.get_by_role("button", name="Ticked"), "(1)")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.get_by_role("button", name="Close").click()
    page.keyboard.press("/")
    page.keyboard.type("tw")
    page.keyboard.press("Enter")
    expect(page.locator("[data-cm-row]")).to_have_text(["two"], timeout=WAIT)


@pytest.fixture
def every_page(transactional_db: None, local_host: Any) -> list[str]:
    """The address of each kind of page, with something on it."""
    ended = ContainerJob.objects.create(
        command=["make", "--long-option=" + "x" * 200], name="render " + "y" * 80, status="failed", outcome="oom",
        exit_code=137, error="Killed: " + "z" * 300, environment={"API_TOKEN": "hunter2"}, labels={"team": "video"},
    )  # fmt: skip
    waiting = queue_manager.create_and_queue(command="true", queue="nobody")
    HandlerCall.objects.create(
        handler="webhook:billing", event="failed", job=ended, tries=3, state="failed", finished_at=timezone.now(),
        last_error="Traceback\nConnectionError: " + "e" * 150,
    )  # fmt: skip
    JobFile.objects.create(
        job=ended, attempt=1, direction="output", name="clip", path="deep/" + "p" * 60, storage="default",
        stored_name="clip", size=5, sha256="ab" * 32,
    )  # fmt: skip
    tabs = [f"{job_page(ended)}?tab={tab}" for tab in ("error", "specification", "events", "files", "handlers")]
    return [
        JOBS, f"{JOBS}?status=failed&search=render&label=team%3Dvideo", f"{JOBS}?exit_code=x", *tabs, job_page(waiting),
        f"{JOBS}add/?clone={ended.pk}", f"{JOBS}{waiting.pk}/edit/", f"{JOBS}run/", f"{JOBS}run/make_thumbnail/",
    ]  # fmt: skip


@pytest.mark.parametrize(("color_scheme", "width"), [("light", 1280), ("dark", 360)])
def test_every_page_is_accessible_and_fits_the_window(
    visits: Visits, superuser: User, every_page: list[str], color_scheme: str, width: int
) -> None:
    page = visits.open(superuser, JOBS, color_scheme=color_scheme, viewport={"width": width, "height": 800})
    problems = _problems(page, "list")
    page.get_by_role("button", name="All that match").click()
    expect(page.get_by_role("heading", name="Queue: 1 job?")).to_be_visible(timeout=WAIT)
    problems += _problems(page, "question")
    for address in every_page:
        page.goto(address)
        problems += _problems(page, address)
    assert not problems, "\n".join(problems)


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize(("color_scheme", "width"), [("light", 1280), ("dark", 360)])
def test_the_output_is_accessible_and_fits_the_window(
    visits: Visits, superuser: User, color_scheme: str, width: int
) -> None:
    colours = "".join(f"\\033[{code}mcolour {code}\\033[0m\\n" for code in [*range(30, 38), *range(90, 98), 2])
    job = queue_manager.create_and_queue(command=["sh", "-c", f"printf '{colours}'; echo bad >&2; echo {'x' * 400}"])
    queue_manager.wait_for(job, timeout=WAIT_SECONDS)
    page = visits.open(superuser, job_page(job), color_scheme=color_scheme, viewport={"width": width, "height": 800})
    shows(page.locator("#cm-log"), "colour 37")
    page.get_by_label("Times").check()
    assert not _problems(page, "logs")
    page.goto(f"{job_page(job)}?tab=logs&find=colour")
    expect(page.locator("#cm-log mark").first).to_be_visible(timeout=WAIT)
    assert not _problems(page, "search")


def test_a_reader_is_shown_nothing_to_press(visits: Visits, read_only_user: User) -> None:
    job = ContainerJob.objects.create(command="true", name="theirs", status="failed")
    page = visits.open(read_only_user, JOBS)
    expect(page.get_by_role("link", name="theirs")).to_be_visible(timeout=WAIT)
    expect(page.locator(".cm-bulk, input[name=jobs]")).to_have_count(0)
    expect(page.get_by_role("link", name="New job")).to_have_count(0)
    page.get_by_role("link", name="theirs").click()
    expect(page.locator("#cm-summary .cm-button")).to_have_count(0)
    expect(page.get_by_role("link", name="Logs")).to_have_count(0)
    visits.allowed.append("403")
    answer = page.goto(f"{JOBS}{job.pk}/edit/")
    assert answer is not None
    assert answer.ok
    assert page.locator("input[type=submit][name^=_]").count() == 0
    answer = page.goto(f"{JOBS}{job.pk}/log/")
    assert answer is not None
    assert answer.status == 403


def _problems(page: Page, where: str) -> list[str]:
    found = [f"{where}: {problem}" for problem in accessibility_problems(page)]
    if page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
        found.append(f"{where} is wider than the window")
    return found
