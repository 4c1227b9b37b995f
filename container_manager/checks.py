"""System checks of the settings. Hosts are rows: ``full_clean`` and ``containers check`` judge them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from difflib import get_close_matches
from importlib.util import find_spec
from typing import Any

from django.apps import apps
from django.conf import settings as django_settings
from django.core import checks
from django.db import connections
from django.utils.module_loading import import_string

from container_manager import conf, registry
from container_manager.credentials import ADVICE, credentials_in
from container_manager.handlers import webhooks
from container_manager.handlers.registry import EVENTS, UNSERVED
from container_manager.retry import PolicyError, policy_from_settings


def register_checks() -> None:
    checks.register(check_settings, "container_manager")
    checks.register(check_databases, checks.Tags.database)
    checks.register(check_admin, "container_manager")
    checks.register(check_definitions, "container_manager")


def check_settings(**_: Any) -> list[checks.CheckMessage]:
    """Unknown keys, wrong types, and ``USE_TZ``."""
    configured = getattr(django_settings, "CONTAINER_MANAGER", {})
    if not isinstance(configured, dict):
        return [checks.Error("CONTAINER_MANAGER must be a dict.", id="container_manager.E001")]
    found: list[checks.CheckMessage] = []
    for name, value in configured.items():
        if name not in conf.SETTINGS:
            near = get_close_matches(str(name).upper(), conf.SETTINGS, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(conf.SETTINGS)}."
            found.append(
                checks.Error(
                    f"CONTAINER_MANAGER has an unknown setting {name!r}.", hint=hint, id="container_manager.E002"
                )
            )
        elif not isinstance(value, conf.SETTINGS[name].types) or (
            isinstance(value, bool) and bool not in conf.SETTINGS[name].types
        ):
            wanted = " or ".join(kind.__name__ for kind in conf.SETTINGS[name].types)
            found.append(
                checks.Error(
                    f"CONTAINER_MANAGER[{name!r}] is {value!r}; it must be {wanted}.",
                    hint=conf.SETTINGS[name].help,
                    id="container_manager.E003",
                )
            )
    if not django_settings.USE_TZ:
        found.append(
            checks.Error("USE_TZ must be True: times are compared across processes.", id="container_manager.E004")
        )
    return found or _check_values()


def _check_values() -> list[checks.CheckMessage]:
    found = [
        *_check_ranges(),
        *_check_names(),
        *_check_hooks(),
        *_check_policies(),
        *_check_handlers(),
        *_check_limits(),
        *_check_output_store(),
    ]
    if conf.get("HEARTBEAT_INTERVAL") * 3 > conf.get("WORKER_TIMEOUT"):
        found.append(
            checks.Error(
                "WORKER_TIMEOUT must be at least three times HEARTBEAT_INTERVAL, or live workers are taken for dead.",
                id="container_manager.E006",
            )
        )
    identifier = conf.get("INSTALLATION")
    if identifier and not (
        len(identifier) <= 8 and identifier.isascii() and identifier.isalnum() and identifier.islower()
    ):
        found.append(
            checks.Error("INSTALLATION must be 1 to 8 of a-z and 0-9, with a letter.", id="container_manager.E007")
        )
    return found


def _check_ranges() -> Iterator[checks.CheckMessage]:
    for name, setting in conf.SETTINGS.items():
        value = conf.get(name)
        if isinstance(value, int | float) and not setting.lowest <= value <= setting.highest:
            wanted = f"from {setting.lowest:,}" + (f" to {setting.highest:,}" if setting.highest < math.inf else " up")
            yield checks.Error(
                f"CONTAINER_MANAGER[{name!r}] is {value!r}; it must be {wanted}.",
                hint=setting.help,
                id="container_manager.E008",
            )


def _check_names() -> Iterator[checks.CheckMessage]:
    known = conf.SETTINGS["RETENTION"].default
    for name in conf.get("RETENTION") or {}:
        if name not in known:
            yield checks.Error(
                f"RETENTION has an unknown key {name!r}.",
                hint=f"Known: {', '.join(known)}.",
                id="container_manager.E009",
            )
    for name, path in conf.get("EXECUTORS").items():
        if not (isinstance(name, str) and isinstance(path, str) and "." in path):
            yield checks.Error(
                f"EXECUTORS[{name!r}] is {path!r}; give the dotted path of a class.",
                hint=conf.SETTINGS["EXECUTORS"].help,
                id="container_manager.E010",
            )


def _check_hooks() -> Iterator[checks.CheckMessage]:
    path = conf.get("VISIBLE_JOBS")
    try:
        is_callable = not path or callable(import_string(path))
    except ImportError:
        is_callable = False
    if not is_callable:
        yield checks.Error(
            f"VISIBLE_JOBS is {path!r}, which cannot be imported or called.",
            hint=conf.SETTINGS["VISIBLE_JOBS"].help,
            id="container_manager.E014",
        )


def _check_policies() -> Iterator[checks.CheckMessage]:
    for name, policy in conf.get("RETRY_POLICIES").items():
        try:
            policy_from_settings(policy)
        except (PolicyError, TypeError, AttributeError) as error:
            yield checks.Error(f"RETRY_POLICIES[{name!r}]: {error}.", id="container_manager.E005")


def check_admin(**_: Any) -> list[checks.CheckMessage]:
    """The admin's pages refresh themselves by htmx, which the extra ``admin`` brings: no word without it."""
    if (
        not apps.is_installed("django.contrib.admin")
        or not find_spec("django_htmx")
        or apps.is_installed("django_htmx")
    ):
        return []
    return [
        checks.Info(
            "The admin's pages of container_manager do not refresh themselves.",
            hint="Add 'django_htmx' to INSTALLED_APPS.",
            id="container_manager.I001",
        )
    ]


def check_definitions(**_: Any) -> list[checks.CheckMessage]:
    """Credentials in the environment of a job definition."""
    return [
        checks.Warning(
            f"The job definition {name!r} has the variable {variable}, which looks like a credential.",
            hint=ADVICE,
            id="container_manager.W002",
        )
        for name, definition in registry.all_definitions().items()
        for variable in credentials_in(definition.options.get("environment", {}))
    ]


def _check_output_store() -> Iterator[checks.CheckMessage]:
    store = conf.get("OUTPUT_STORE")
    if store not in (None, conf.DATABASE, *django_settings.STORAGES):
        yield checks.Error(
            f"OUTPUT_STORE is {store!r}, which is no alias of STORAGES.",
            hint=f"Give {conf.DATABASE!r}, None, or one of: {', '.join(django_settings.STORAGES)}.",
            id="container_manager.E016",
        )


def _check_limits() -> Iterator[checks.CheckMessage]:
    for name, limit in conf.get("LIMITS").items():
        kind, colon, of = str(name).partition(":")
        is_number = isinstance(limit, int) and not isinstance(limit, bool) and limit >= 0
        if kind not in ("tenant", "definition") or bool(colon) != bool(of) or not (is_number or limit is None):
            yield checks.Error(
                f"LIMITS[{name!r}] is {limit!r}.",
                hint="Names: tenant, tenant:NAME, definition, definition:NAME. Limits: numbers from 0 up, or None.",
                id="container_manager.E015",
            )


def _check_handlers() -> Iterator[checks.CheckMessage]:
    for name, webhook in conf.get("WEBHOOKS").items():
        for problem in webhooks.problems(name, webhook):
            yield checks.Error(f"WEBHOOKS[{name!r}]: {problem}.", id="container_manager.E011")
    if conf.get("WEBHOOKS") and find_spec("httpx") is None:
        yield checks.Error(
            "WEBHOOKS needs httpx.", hint="pip install 'django-container-queue[webhooks]'", id="container_manager.E012"
        )
    known = [*EVENTS.values(), UNSERVED]
    for event in conf.get("MAIL_ADMINS"):
        if event not in known:
            yield checks.Error(
                f"MAIL_ADMINS has an unknown event {event!r}.",
                hint=f"Known: {', '.join(known)}.",
                id="container_manager.E013",
            )


def check_databases(databases: Any = None, **_: Any) -> list[checks.CheckMessage]:
    """SQLite needs WAL, a busy timeout and IMMEDIATE transactions to stay out of "database is locked"."""
    found: list[checks.CheckMessage] = []
    for alias in databases or ():
        connection = connections[alias]
        if connection.vendor != "sqlite" or "memory" in str(connection.settings_dict["NAME"]):
            continue
        options = connection.settings_dict.get("OPTIONS", {})
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA journal_mode")
            mode = str(cursor.fetchone()[0]).lower()
        wrong = []
        if mode != "wal":
            wrong.append("init_command='PRAGMA journal_mode=WAL;'")
        if options.get("timeout", 5) < 20:
            wrong.append("timeout=20")
        if str(options.get("transaction_mode", "")).upper() != "IMMEDIATE":
            wrong.append("transaction_mode='IMMEDIATE'")
        if wrong:
            found.append(
                checks.Warning(
                    f"The SQLite database {alias!r} can answer 'database is locked' under load.",
                    hint=f"Set in its OPTIONS: {', '.join(wrong)}.",
                    id="container_manager.W001",
                )
            )
    return found
