"""Which variables look like credentials."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from django.core.checks import run_checks

from container_manager import credentials, registry
from container_manager.definitions import JobDefinition
from container_manager.models import ContainerJob

KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIE"


@pytest.fixture(autouse=True)
def told_of_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "_told", set())
    monkeypatch.setattr(registry, "_definitions", registry.all_definitions())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PASSWORD", "hunter2"), ("DB_PASSWD", "x"), ("API_TOKEN", "abc"), ("AWS_SECRET_ACCESS_KEY", "abc"),
        ("apiKey", "abc"), ("GOOGLE_CREDENTIALS", "{}"), ("BASIC_AUTH", "a:b"), ("DATABASE_URL", "postgres://u:p@h/d"),
        ("REDIS", "redis://:p@h"), ("DATA", KEY), ("X", "AKIAABCDEFGHIJKLMNOP"),
    ],
)  # fmt: skip
def test_what_looks_like_a_credential(name: str, value: str) -> None:
    assert credentials.looks_like_credential(name, value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PASSWORD", ""), ("TOKENIZERS_PARALLELISM", "false"), ("MAX_TOKENS", "4096"), ("TOKENIZER", "bpe"),
        ("PASSWORD_FILE", "/run/secrets/password"), ("TOKEN", "$(CM_SECRETS_DIR)/TOKEN"), ("AUTHOR", "me"),
        ("DATABASE_URL", "postgres://host/db"), ("TOKEN_URL", "https://auth.example.com/token"), ("KEYBOARD", "de"),
        ("USE_SECRETS", "True"), ("MODE", "fast"),
    ],
)  # fmt: skip
def test_what_does_not(name: str, value: str) -> None:
    assert not credentials.looks_like_credential(name, value)


def test_the_log_names_each_once_and_never_the_value(caplog: pytest.LogCaptureFixture) -> None:
    jobs = [ContainerJob(environment={"API_TOKEN": "planted-value", "MODE": "fast"}) for _ in range(3)]
    with caplog.at_level(logging.WARNING, "container_manager"):
        credentials.warn_of(jobs)
    [record] = caplog.records
    assert "API_TOKEN looks like a credential" in record.getMessage()
    assert "secrets=" in record.getMessage()
    assert "planted-value" not in str(vars(record))


def test_a_definitions_environment_is_checked() -> None:
    class Leaky(JobDefinition):
        command: Any = ["true"]
        environment = {"API_TOKEN": "planted-value", "MODE": "fast"}

    [found] = [message for message in run_checks() if message.id == "container_manager.W002"]
    assert "'leaky' has the variable API_TOKEN" in found.msg
    assert "planted-value" not in f"{found.msg} {found.hint}"
