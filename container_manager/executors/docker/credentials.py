"""Credentials for registries: those of the host's options, else the Docker command line's: ``config.json``, helpers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, Final

from docker import auth
from docker.credentials.errors import StoreError
from docker.errors import DockerException

from container_manager.exceptions import ImagePullError, SecretError
from container_manager.secret_references import resolve

HELPER_SECONDS: Final = 30.0
"""How long a credential helper, a program of its own, may take."""


def registry_header(registry: str, given: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """
    The header that signs in to ``registry``; empty when neither ``given`` nor this user has credentials for it.

    Read anew each time, since short-lived tokens are replaced. ``ImagePullError`` naming the registry when they
    cannot be read, ``SecretError`` when the reference of a ``given`` password leads to nothing.
    """
    if registry in given:
        return _header({"username": given[registry]["username"], "password": _password(registry, given[registry])})
    try:
        config = auth.load_config()
        if config.get_credential_store(registry) is None:
            found = config.resolve_authconfig(registry)
        else:
            found = _within(HELPER_SECONDS, lambda: config.resolve_authconfig(registry))
        return _header(found) if found else {}
    except TimeoutError as error:
        raise ImagePullError(
            f"The credential helper for the registry {registry} did not answer within {HELPER_SECONDS:g} s."
        ) from error
    except (DockerException, StoreError, OSError, ValueError, KeyError) as error:
        raise ImagePullError(f"The credentials for the registry {registry} cannot be read: {error}.") from error


def _header(credentials: Mapping[str, Any]) -> dict[str, str]:
    return {"X-Registry-Auth": auth.encode_header(credentials).decode("ascii")}


def _password(registry: str, given: Mapping[str, str]) -> str:
    try:
        return resolve(given["password"])
    except SecretError as error:
        raise SecretError(
            f"The password for the registry {registry}, of the host's option 'registries', cannot be resolved: {error}"
        ) from None


def _within(seconds: float, call: Callable[[], Any]) -> Any:
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # noqa: BLE001  # raised again in the thread that waits
            future.set_exception(error)

    # A daemon: the SDK gives the helper no time limit, and a helper that hangs must not hold up the exit.
    threading.Thread(target=run, name="docker-credentials", daemon=True).start()
    return future.result(seconds)
