"""Pictures of every page of the admin for ``docs/images``, of the live demonstration with real jobs."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.error import URLError
from urllib.request import urlopen

from playwright.sync_api import Browser, Page, expect, sync_playwright

HERE = Path(__file__).resolve().parent
IMAGES: Final = HERE.parent / "docs" / "images"
PASSWORD: Final = os.environ.get("DEMO_PASSWORD", "demo")
PATIENCE_SECONDS: Final = 600
ENOUGH: Final = 60
"""Completed jobs, for the charts to have something to show."""
APP: Final = "/admin/container_manager/"
JOBS: Final = f"{APP}containerjob/"
WIDE: Final = {"width": 1280, "height": 880}
PHONE: Final = {"width": 390, "height": 844}
PAGES: Final = {
    "dashboard": APP,
    "jobs": JOBS,
    "failed-jobs": f"{JOBS}?status=failed",
    "new-job": f"{JOBS}add/",
    "hosts": f"{APP}executorhost/",
    "new-host": f"{APP}executorhost/add/?executor_type=docker",
    "workers": f"{APP}worker/",
}
"""Name of the picture and address."""


@contextmanager
def demonstration() -> Iterator[str]:
    """``make serve`` runs; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    serve = subprocess.Popen([sys.executable, str(HERE / "serve.py")], env={**os.environ, "PORT": str(port)})
    try:
        address = f"http://127.0.0.1:{port}"
        _wait_for(address)
        yield address
    finally:
        serve.send_signal(signal.SIGINT)
        serve.wait(timeout=60)


def _wait_for(address: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            urlopen(f"{address}/admin/login/", timeout=5).close()  # noqa: S310 - our own server
        except (URLError, OSError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)
        else:
            return


def open_page(browser: Browser, address: str, **options: Any) -> Page:
    """A page of somebody who has logged in."""
    context = browser.new_context(base_url=address, **options)
    page = context.new_page()
    page.goto("/admin/")
    page.get_by_label("Username").fill("demo")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.evaluate("localStorage.setItem('django.admin.navSidebarIsOpen', 'false')")
    page.goto(JOBS)
    return page


def await_jobs(page: Page) -> None:
    """There is something of each kind to see."""
    for state in ("running", "failed", "completed"):
        count = page.locator(f"#cm-tab-{state} .cm-count")
        expect(count).not_to_have_text("0", timeout=PATIENCE_SECONDS * 1_000)
    enough = "least => Number(document.querySelector('#cm-tab-completed .cm-count').textContent) >= least"
    page.wait_for_function(enough, arg=ENOUGH, timeout=PATIENCE_SECONDS * 1_000)


def job_of(page: Page, query: str) -> str:
    """The address of the newest job of the list with ``query``, as soon as there is one."""
    page.goto(f"{JOBS}?{query}")
    return str(page.locator("[data-cm-row]").first.get_attribute("href", timeout=PATIENCE_SECONDS * 1_000))


def take(page: Page, name: str, address: str) -> None:
    page.goto(address)
    page.wait_for_load_state("networkidle")
    page.screenshot(path=IMAGES / f"{name}.png")
    print(f"docs/images/{name}.png")


def main() -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with demonstration() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = open_page(browser, address, viewport=WIDE)
        await_jobs(page)
        # Clips take their time: what is seen in the list still runs on its own page.
        take(page, "job-running", job_of(page, "status=running&queue=media"))
        failed = job_of(page, "status=failed")
        for name, path in {**PAGES, "job-failed": f"{failed}?tab=error"}.items():
            take(page, name, path)
        page.goto(f"{JOBS}?status=failed")
        page.get_by_role("button", name="All that match").click()
        expect(page.get_by_role("button", name="Yes: Retry")).to_be_visible()
        page.wait_for_load_state("networkidle")
        page.screenshot(path=IMAGES / "bulk.png")
        dark = open_page(browser, address, viewport=WIDE, color_scheme="dark")
        for name, path in {"dashboard-dark": APP, "jobs-dark": JOBS, "job-failed-dark": failed}.items():
            take(dark, name, path)
        phone = open_page(browser, address, viewport=PHONE, device_scale_factor=2)
        for name, path in {"dashboard-phone": APP, "jobs-phone": JOBS, "job-phone": failed}.items():
            take(phone, name, path)
        browser.close()


if __name__ == "__main__":
    main()
