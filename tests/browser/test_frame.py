"""Every page of the app in the browser: the frame, its refreshing, its policy."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import expect

from container_manager.models import ContainerJob
from tests.browser.conftest import Visits, accessibility_problems

pytestmark = pytest.mark.browser


def test_the_front_page_is_the_dashboard_and_counts_by_itself(visits: Visits, superuser: User) -> None:
    page = visits.open(superuser)
    pending = page.get_by_role("link", name="Pending")
    expect(pending).to_contain_text("0")
    expect(page.get_by_role("status")).to_have_text("Live")
    page.get_by_label("Refresh every").select_option("2")
    ContainerJob.objects.create(command="true")
    expect(pending).to_contain_text("1", timeout=60_000)
    assert accessibility_problems(page) == []


AREAS = ("", "containerjob/", "jobbatch/", "executorhost/", "worker/", "handlercall/", "environmenttemplate/")


@pytest.mark.parametrize(("color_scheme", "width"), [("light", 1280), ("dark", 360)])
def test_every_area_is_accessible_and_fits_the_window(
    visits: Visits, read_only_user: User, color_scheme: str, width: int
) -> None:
    page = visits.open(read_only_user, color_scheme=color_scheme, viewport={"width": width, "height": 800})
    problems = []
    for area in AREAS:
        page.goto(f"/admin/container_manager/{area}")
        expect(page.locator(".cm-areas a[aria-current=page]")).to_have_count(1)
        problems += [f"{area or 'dashboard'}: {problem}" for problem in accessibility_problems(page)]
        if page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
            problems.append(f"{area or 'dashboard'} is wider than the window")
    assert not problems, "\n".join(problems)
