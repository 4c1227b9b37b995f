"""The options of a Docker host: each one's type, default and right form."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from container_manager.executors import forms
from container_manager.executors.forms import Problem
from container_manager.executors.options import FileOptions, ResourceOptions, option
from container_manager.validation import SECRET_REFERENCE

DEFAULT_BASE_URL: Final = "unix:///var/run/docker.sock"
TLS_KEYS: Final = {"ca_cert": str, "client_cert": str, "client_key": str, "verify": bool}


def _base_url(value: Any) -> Problem:
    is_address = isinstance(value, str) and re.fullmatch(r"(unix:///|tcp://|https?://)\S+", value)
    return None if is_address else f"must be like {DEFAULT_BASE_URL} or tcp://engine.example:2376"


def _is_shared_namespace(network: str) -> bool:
    return network == "host" or network.startswith("container:")


def _network(value: Any) -> Problem:
    if not isinstance(value, str) or not value:
        return "must be the name of a network: 'bridge', 'none' or one made with docker network create"
    return "must not be the network of the host or of another container" if _is_shared_namespace(value) else None


def _networks(value: Any) -> Problem:
    return forms.names(value) or next((problem for problem in map(_network, value) if problem), None)


def _tmpfs(value: Any) -> Problem:
    is_map = isinstance(value, dict) and all(
        isinstance(path, str) and path.startswith("/") and isinstance(mount, str) for path, mount in value.items()
    )
    return None if is_map else "must map paths to mount options, for example {'/tmp': 'size=64m'}"


def _is_limit(value: Any) -> bool:
    pair = value if isinstance(value, (list, tuple)) else [value, value]
    return len(pair) == 2 and all(isinstance(number, int) and not isinstance(number, bool) for number in pair)


def _ulimits(value: Any) -> Problem:
    is_map = isinstance(value, dict) and all(
        isinstance(name, str) and _is_limit(limit) for name, limit in value.items()
    )
    return None if is_map else "must map names to a limit or [soft, hard], for example {'nofile': [1024, 4096]}"


def _log_size(value: Any) -> Problem:
    is_size = isinstance(value, str) and re.fullmatch(r"[1-9]\d*[kmg]", value)
    return None if is_size else "must be a size like '10m', with k, m or g"


def _tls(value: Any) -> Problem:
    if not isinstance(value, dict) or not value:
        return f"must be an object with {', '.join(TLS_KEYS)}"
    for key, given in value.items():
        if key not in TLS_KEYS:
            return f"has no key {key!r}; it takes {', '.join(TLS_KEYS)}"
        if not isinstance(given, TLS_KEYS[key]):
            return f"key {key!r} must be {'a path' if TLS_KEYS[key] is str else 'true or false'}"
    return (
        "needs both client_cert and client_key, or neither"
        if ("client_cert" in value) ^ ("client_key" in value)
        else None
    )


def _registries(value: Any) -> Problem:
    example = "{'registry.example': {'username': 'robot', 'password': 'env:REG_PASSWORD'}}"
    if not isinstance(value, dict) or not all(isinstance(given, dict) for given in value.values()):
        return f"must map registries to their credentials, for example {example}"
    for registry, given in value.items():
        if set(given) != {"username", "password"} or not all(isinstance(text, str) and text for text in given.values()):
            return f"needs a username and a password for {registry!r}, for example {example}"
        if not SECRET_REFERENCE.fullmatch(given["password"]):
            # Not shown: it may be the password itself, put here by mistake.
            return f"has a password for {registry!r} that is no reference, such as env:REG_PASSWORD or file:/path"
    return None


@dataclass(frozen=True, kw_only=True)
class DockerOptions(ResourceOptions, FileOptions):
    """The options of one Docker host."""

    executor: ClassVar[str] = "Docker"

    base_url: str = option(DEFAULT_BASE_URL, _base_url, "the engine's address")
    tls: Mapping[str, Any] | None = option(None, _tls, f"an object with {', '.join(TLS_KEYS)}, paths on the workers")
    timeout: int = option(
        30,
        forms.Whole(1, "seconds"),
        "seconds for one answer of the engine; a stop takes its grace on top, a pull has limits of its own",
    )
    pull_policy: str = option("missing", forms.OneOf(("missing", "always", "never")), "when an image is pulled")
    registries: Mapping[str, Mapping[str, str]] = option(
        {},
        _registries,
        "credentials by registry: username, and password as a reference that the worker follows",
        is_shown=False,
    )
    network: str = option("bridge", _network, "the network of jobs that name none")
    allowed_networks: tuple[str, ...] = option(
        ("bridge",), _networks, "networks that a job may name, beside none and the host's own"
    )
    user: str = option("", forms.text, "the user of jobs that name none; empty = the image's own")
    runtime: str = option("", forms.text, "the runtime of every job; empty = the engine's own")
    read_only: bool = option(False, forms.flag, "nothing in a container can be written but what tmpfs names")
    cap_add: tuple[str, ...] = option((), forms.capabilities, "capabilities given; all others are dropped")
    tmpfs: Mapping[str, str] = option({}, _tmpfs, "paths in memory, with their mount options")
    ulimits: Mapping[str, int | tuple[int, int]] = option(
        {}, _ulimits, "names of limits of a process, with their values"
    )
    pids_limit: int = option(512, forms.Whole(1, "processes"), "processes that a job may have, whatever it asks for")
    log_max_size: str = option(
        "10m", _log_size, "the size of one file of output that the engine keeps until it is read"
    )
    log_max_files: int = option(3, forms.Whole(2, "files"), "how many such files it keeps")

    def contradictions(self) -> Iterator[str]:
        yield from super().contradictions()
        if self.tls is not None and self.base_url.startswith("unix:"):
            yield "'tls' needs a 'base_url' like tcp://engine.example:2376."


@dataclass(frozen=True, kw_only=True)
class PodmanOptions(DockerOptions):
    """The options of one Podman host."""

    executor: ClassVar[str] = "Podman"

    base_url: str = option("unix:///run/podman/podman.sock", _base_url, "the address of podman system service")
