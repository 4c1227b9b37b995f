"""The documentation names what there is, and its links lead somewhere."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
from django.dispatch import Signal

from container_manager import conf, exceptions, signals
from container_manager.models.specification import Specification
from container_manager.queue import JobQueueManager
from container_manager.states import Hold, Outcome, Status

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = (ROOT / "docs" / "reference.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
NAMED = set(re.findall(r"`([A-Za-z_]+)", REFERENCE))


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_setting_is_listed_with_its_default_and_meaning() -> None:
    rows = [f"| `{name}` | `{known.default!r}` | {known.help} |" for name, known in conf.SETTINGS.items()]
    missing = [row for row in rows if row not in REFERENCE.splitlines()]
    assert not missing, "docs/reference.md lacks:\n" + "\n".join(missing)
    settings = REFERENCE.split("\n## Settings\n")[1].split("\n## ")[0]
    assert settings.count("\n| `") == len(rows)


@pytest.mark.parametrize(
    "names",
    [
        {name for name, _ in inspect.getmembers(JobQueueManager, inspect.isfunction) if not name.startswith("_")},
        {field.name for field in Specification._meta.get_fields()},
        {
            name
            for name, kind in vars(exceptions).items()
            if inspect.isclass(kind) and kind.__module__ == exceptions.__name__
        },
        {name for name, signal in vars(signals).items() if isinstance(signal, Signal)},
        {*Status.values, *Outcome.values, *Hold.values} - {""},
    ],
    ids=["calls", "fields", "exceptions", "signals", "states"],
)
def test_whatever_is_public_is_named(names: set[str]) -> None:
    assert names
    assert names - NAMED == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), f"{link} leads nowhere"
        if anchor:
            assert anchor in anchors(target), f"{target.name} has no heading {anchor}"


def test_every_page_is_reached_from_the_readme() -> None:
    reached, ahead = set(), [PAGES[0]]
    while ahead:
        page = ahead.pop()
        reached.add(page)
        links = re.findall(r"\]\(([^):#\s]+\.md)", page.read_text())
        ahead += [target for link in links if (target := (page.parent / link).resolve()) not in reached]
    assert set(PAGES) - reached == set()
