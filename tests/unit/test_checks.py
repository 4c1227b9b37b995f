"""System checks of the settings, and the errors of a wrong registration."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.test import override_settings

from container_manager import conf
from container_manager.checks import check_settings
from container_manager.exceptions import ConfigurationError
from container_manager.executors import executor_class
from container_manager.models import ExecutorHost


@pytest.mark.parametrize(
    ("settings", "identifier", "hint"),
    [
        ({"DEFAULT_IMAGES": "x"}, "E002", "DEFAULT_IMAGE"),
        ({"POLL_INTERVAL": "often"}, "E003", ""),
        ({"MAX_QUEUE_DEPTH": True}, "E003", ""),
        ({"RETRY_POLICIES": {"x": {"rules": [{"retry": True, "outcomes": ["no"]}]}}}, "E005", ""),
        ({"WORKER_TIMEOUT": 20.0, "HEARTBEAT_INTERVAL": 10.0}, "E006", ""),
        ({"INSTALLATION": "TOO-LONG-AND-LOUD"}, "E007", ""),
        ({"INSTALLATION": "12345678"}, "E007", ""),
        ({"worker_timeout": 5}, "E002", "WORKER_TIMEOUT"),
        ({"NOTHING_LIKE_IT": 5}, "E002", "Known: EXECUTORS"),
        ({"EXECUTORS": "docker"}, "E003", ""),
        ({"ALLOW_PROCESS_EXECUTOR": 1}, "E003", ""),
        ({"RETRY_POLICIES": {"x": {"max_reruns": "5"}}}, "E005", ""),
        ({"RETRY_POLICIES": {"x": {"first_delay": -1}}}, "E005", ""),
        ({"RETRY_POLICIES": {"x": {"rules": {"retry": True}}}}, "E005", ""),
        ({"RETRY_POLICIES": {"x": {"rules": 3}}}, "E005", ""),
        ({"RETRY_POLICIES": {"x": {"rules": [{"retry": True, "exit_code": [1]}]}}}, "E005", ""),
        ({"RETRY_POLICIES": {"x": {"rules": [{"retry": "no"}]}}}, "E005", ""),
        ({"RETRY_POLICIES": {"x": []}}, "E005", ""),
        ({"VISIBLE_JOBS": "no.such.function"}, "E014", "jobs, user"),
        ({"VISIBLE_JOBS": "container_manager.conf.DAY"}, "E014", ""),
        ({"POLL_INTERVAL": 0}, "E008", ""),
        ({"HEARTBEAT_INTERVAL": -1}, "E008", ""),
        ({"MAX_QUEUE_DEPTH": -1}, "E008", ""),
        ({"LOG_MAX_BYTES": 100}, "E008", "Bytes of output"),
        ({"LOG_MAX_BYTES": 1 << 30}, "E008", "Bytes of output"),
        ({"RETENTION": {"complete": 5}}, "E009", "completed"),
        ({"EXECUTORS": {"mine": 3}}, "E010", "dotted.path"),
    ],
)
def test_a_wrong_setting_is_an_error_that_says_what_to_do(settings: dict[str, Any], identifier: str, hint: str) -> None:
    with override_settings(CONTAINER_MANAGER=settings):
        [message] = check_settings()
    assert message.id == f"container_manager.{identifier}"
    assert hint in (message.hint or "")


def test_no_setting_is_needed_and_every_default_is_right() -> None:
    with override_settings(CONTAINER_MANAGER={}):
        assert check_settings() == []
    with override_settings(
        CONTAINER_MANAGER={name: setting.default for name, setting in conf.SETTINGS.items() if setting.default}
    ):
        assert check_settings() == []


@override_settings(USE_TZ=False)
def test_time_zones_are_required() -> None:
    assert [message.id for message in check_settings()] == ["container_manager.E004"]


@override_settings(CONTAINER_MANAGER=["DEFAULT_IMAGE"])
def test_the_settings_are_a_dict() -> None:
    assert [message.id for message in check_settings()] == ["container_manager.E001"]


def test_the_checks_are_registered_and_ask_no_database() -> None:
    with override_settings(CONTAINER_MANAGER={"POLL_INTERVALL": 1}):
        found = run_checks(include_deployment_checks=True)
    assert "container_manager.E002" in {message.id for message in found}


def test_an_unknown_executor_names_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match="Did you mean 'docker'"):
        executor_class("doker")
    with pytest.raises(ImproperlyConfigured):
        executor_class("doker")


@override_settings(CONTAINER_MANAGER={"EXECUTORS": {"missing": "nowhere.Missing", "odd": "pathlib.Path"}})
def test_an_executor_that_cannot_be_imported_or_is_none_says_so() -> None:
    with pytest.raises(ConfigurationError, match="cannot be imported"):
        executor_class("missing")
    with pytest.raises(ConfigurationError, match="not a subclass"):
        executor_class("odd")


def test_bad_host_options_name_the_option() -> None:
    host = ExecutorHost(name="x", executor_type="docker", options={"base_urll": "unix:///x"}, queues=["a b"])
    with pytest.raises(ValidationError) as caught:
        host.clean()
    assert "base_url" in str(caught.value.message_dict["options"])
    assert "queues" in caught.value.message_dict
    with pytest.raises(ValidationError) as caught:
        ExecutorHost(name="x", executor_type="process").clean()
    assert "node" in caught.value.message_dict
