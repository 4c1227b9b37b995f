"""The options of a Docker host: each one's type, default and right form."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, Self

from django.core.exceptions import ValidationError

from container_manager.executors import forms
from container_manager.executors.forms import Problem

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


CHECKS: Final[dict[str, forms.Check]] = {
    "base_url": _base_url,
    "tls": _tls,
    "timeout": forms.whole(1, "seconds"),
    "pull_policy": forms.one_of("missing", "always", "never"),
    "network": _network,
    "allowed_networks": _networks,
    "user": forms.text,
    "runtime": forms.text,
    "read_only": forms.flag,
    "cap_add": forms.capabilities,
    "tmpfs": _tmpfs,
    "ulimits": _ulimits,
    "pids_limit": forms.whole(1, "processes"),
    "default_memory_limit": forms.whole(6, "MiB"),
    "max_memory_limit": forms.whole(6, "MiB"),
    "default_cpu_limit": forms.cores,
    "max_cpu_limit": forms.cores,
    "log_max_size": _log_size,
    "log_max_files": forms.whole(2, "files"),
    "max_input_size": forms.whole(1, "MiB"),
    "max_output_size": forms.whole(1, "MiB"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerOptions:
    """
    The options of one Docker host.

    ``timeout``: seconds that the engine may take to answer a call; a stop takes its grace on top, a pull has limits
    of its own. ``network``: of jobs that name none. ``allowed_networks``: those a job may name, beside ``none`` and
    ``network``. ``user``: of jobs that name none; empty = the image's own. Memory in MiB, processors in cores; a
    host with a maximum gives it to jobs without a limit, where there is no default. ``log_max_size`` and
    ``log_max_files`` bound what the engine keeps of an execution's output until it is read. ``max_input_size`` and
    ``max_output_size``: MiB of all input and of all output files of a job; default: no limit.
    """

    base_url: str = DEFAULT_BASE_URL
    tls: Mapping[str, Any] | None = None
    timeout: int = 30
    pull_policy: str = "missing"
    network: str = "bridge"
    allowed_networks: tuple[str, ...] = ("bridge",)
    user: str = ""
    runtime: str = ""
    read_only: bool = False
    cap_add: tuple[str, ...] = ()
    tmpfs: Mapping[str, str] = field(default_factory=dict)
    ulimits: Mapping[str, int | tuple[int, int]] = field(default_factory=dict)
    pids_limit: int = 512
    default_memory_limit: int | None = None
    max_memory_limit: int | None = None
    default_cpu_limit: float | None = None
    max_cpu_limit: float | None = None
    log_max_size: str = "10m"
    log_max_files: int = 3
    max_input_size: int | None = None
    max_output_size: int | None = None

    @classmethod
    def parse(cls, options: Mapping[str, Any]) -> Self:
        """The typed options. ``ValidationError`` with one message per unknown or wrong option, each naming it."""
        forms.validate("Docker", options, OPTION_NAMES, CHECKS)
        if problems := list(_contradictions(options)):
            raise ValidationError(problems)
        values: dict[str, Any] = {
            name: tuple(given) if isinstance(given, list) else given for name, given in options.items()
        }
        return cls(**values)


OPTION_NAMES: Final = tuple(option.name for option in fields(DockerOptions))


def _contradictions(options: Mapping[str, Any]) -> Iterator[str]:
    yield from forms.above_maximum(options)
    if "tls" in options and options.get("base_url", DEFAULT_BASE_URL).startswith("unix:"):
        yield "'tls' needs a 'base_url' like tcp://engine.example:2376."
