"""A host of the fake engine, a worker in the test's own thread, and the metrics as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
def scrape(settings: Any, client: Client) -> Callable[[], Samples]:
    """The samples of a scrape with the token, by name and labels."""
    settings.CONTAINER_MANAGER = {**settings.CONTAINER_MANAGER, "METRICS_TOKEN": "let me in"}

    def read() -> Samples:
        answer = client.get("/queue/metrics", headers={"Authorization": "Bearer let me in"})
        assert answer.status_code == 200, answer.content
        families = text_string_to_metric_families(answer.content.decode())
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in families
            for sample in family.samples
        }

    return read


def sample(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, frozenset(labels.items())]
