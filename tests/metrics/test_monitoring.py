"""The dashboard and the alert rules in ``deploy/monitoring``: they load, and what they name exists."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.utils import timezone
from prometheus_client import CollectorRegistry

from container_manager.metrics.collector import QueueCollector
from container_manager.models import ExecutorHost, MinuteRollup, Worker
from container_manager.models.rollup import TOTAL
from container_manager.states import Hold, Outcome, Status

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "monitoring"
DASHBOARD = json.loads((FOLDER / "grafana-dashboard.json").read_text())
RULES = yaml.safe_load((FOLDER / "alerts.yml").read_text())
KNOWN_VALUES = {
    "state": {Status.QUEUED.value, Status.LAUNCHING.value, Status.RUNNING.value, "alive", "dead"},
    "status": {status.value for status in Status},
    "outcome": {outcome.value for outcome in Outcome},
    "hold": {hold.value for hold in Hold},
    "queue": {"$queue"},
}


def expressions() -> Iterator[str]:
    for panel in DASHBOARD["panels"]:
        yield from (target["expr"] for target in panel["targets"])
    for group in RULES["groups"]:
        yield from (rule["expr"] for rule in group["rules"])


@pytest.fixture
def labels(host: ExecutorHost) -> dict[str, set[str]]:
    """Each sample's name that a scrape can have, with its labels."""
    now = timezone.now()
    MinuteRollup.objects.create(minute=TOTAL, queue="default")
    Worker.objects.create(node="here", process_id=1, concurrency=1, started_at=now, heartbeat_at=now)
    ExecutorHost.objects.filter(pk=host.pk).update(served_at=now)
    registry = CollectorRegistry()
    registry.register(QueueCollector())
    found: dict[str, set[str]] = {}
    for family in registry.collect():
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
        assert family.samples, f"{family.name} has no sample here, so what names it is not tested"
    return found


@pytest.mark.django_db
@pytest.mark.parametrize("expression", sorted(set(expressions())))
def test_every_metric_and_label_exists(expression: str, labels: dict[str, set[str]]) -> None:
    names = set(re.findall(r"\bcm_\w+", expression))
    assert names
    assert names <= set(labels)
    for name, selector in re.findall(r"\b(cm_\w+)\{([^}]*)\}", expression):
        for label, _, value in re.findall(r'(\w+)\s*(=~|!=|=)\s*"([^"]*)"', selector):
            assert label in labels[name]
            assert set(value.split("|")) <= KNOWN_VALUES[label]


def test_every_panel_has_its_place_and_its_own_id() -> None:
    panels: list[dict[str, Any]] = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels) > 10
    cells = [
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(set(cells)) == len(cells), "panels overlap"
    assert all(0 <= x < 24 for x, _ in cells)


def test_every_rule_says_how_bad_it_is_and_what_happened() -> None:
    rules = [rule for group in RULES["groups"] for rule in group["rules"]]
    assert len({rule["alert"] for rule in rules}) == len(rules)
    for rule in rules:
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert rule["annotations"]["summary"]
