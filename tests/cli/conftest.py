"""The command line as a user has it: in this process, or as one of its own."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from container_manager.hosts import node_name
from container_manager.models import ExecutorHost

Containers = Callable[..., "Answer"]


@dataclass
class Answer:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        values = json.loads(self.out)
        assert values.pop("schema_version") == 1
        return values


@pytest.fixture
def containers() -> Containers:
    """Runs ``containers ARGUMENTS`` in this process."""

    def run(*arguments: str) -> Answer:
        out, err = io.StringIO(), io.StringIO()
        code = 0
        try:
            call_command("containers", *arguments, stdout=out, stderr=err)
        except SystemExit as exit_:
            code = int(exit_.code or 0)
        return Answer(code, out.getvalue(), err.getvalue())

    return run


@pytest.fixture
def process_host(db: None, tmp_path: Path) -> ExecutorHost:
    return ExecutorHost.objects.create(
        name="here", executor_type="process", node=node_name(), max_concurrent_jobs=20,
        options={"state_directory": str(tmp_path / "state")},
    )  # fmt: skip
