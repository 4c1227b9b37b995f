"""The options of a Kubernetes host: each one's type, default and right form."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, Self

from django.core.exceptions import ValidationError

from container_manager.executors import forms
from container_manager.executors.forms import Problem

WEEK: Final = 7 * 86_400
DNS_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
LABEL_VALUE: Final = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
LABEL_NAME: Final = re.compile(r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
USER: Final = re.compile(r"(\d{1,10})(?::(\d{1,10}))?")
RESERVED: Final = "container-manager."


def is_label(name: str, value: str) -> bool:
    """Does Kubernetes accept it as a label?"""
    return bool(LABEL_NAME.fullmatch(name) and LABEL_VALUE.fullmatch(value))


def _name(value: Any) -> Problem:
    is_name = isinstance(value, str) and (not value or DNS_NAME.fullmatch(value))
    return None if is_name else "must be the name of an object of the cluster: lower-case letters, digits, - and ."


def _object_names(value: Any) -> Problem:
    is_list = isinstance(value, (list, tuple)) and all(
        isinstance(item, str) and DNS_NAME.fullmatch(item) for item in value
    )
    return None if is_list else "must be a list of names of objects of the cluster"


def _texts(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(name, str) and isinstance(text, str) for name, text in value.items()
    )


def _labels(value: Any) -> Problem:
    if not _texts(value) or not all(is_label(name, text) for name, text in value.items()):
        return "must map names of labels to values that Kubernetes takes, for example {'team': 'video'}"
    return _ours(value)


def _annotations(value: Any) -> Problem:
    if not _texts(value) or not all(LABEL_NAME.fullmatch(name) for name in value):
        return "must map names of annotations to strings, for example {'example.com/owner': 'video team'}"
    return _ours(value)


def _ours(value: Mapping[str, str]) -> Problem:
    return f"must not set {RESERVED}*" if any(name.startswith(RESERVED) for name in value) else None


def _objects(value: Any) -> Problem:
    is_list = isinstance(value, (list, tuple)) and all(isinstance(item, dict) for item in value)
    return None if is_list else "must be a list of objects as in a pod's manifest"


def _object(value: Any) -> Problem:
    return None if isinstance(value, dict) else "must be an object as in a pod's manifest"


def _user(value: Any) -> Problem:
    is_user = isinstance(value, str) and (not value or USER.fullmatch(value))
    return None if is_user else "must be numeric, for example '1000' or '1000:1000'"


def _paths(value: Any) -> Problem:
    is_list = isinstance(value, (list, tuple)) and all(
        isinstance(path, str) and re.fullmatch(r"(/[^/:]+)+", path) for path in value
    )
    return None if is_list else "must be a list of absolute paths, for example ['/tmp']"


def _secrets(value: Any) -> Problem:
    is_map = isinstance(value, dict) and all(
        isinstance(name, str) and VARIABLE.fullmatch(name) and _is_secret_key(reference)
        for name, reference in value.items()
    )
    example = "{'DATABASE_URL': {'secret': 'shop', 'key': 'url'}}"
    return None if is_map else f"must map variables to keys of secrets, for example {example}"


def _is_secret_key(reference: Any) -> bool:
    return (
        _texts(reference)
        and set(reference) == {"secret", "key"}
        and bool(DNS_NAME.fullmatch(reference["secret"]) and re.fullmatch(r"[-._a-zA-Z0-9]+", reference["key"]))
    )


CHECKS: Final[dict[str, forms.Check]] = {
    "kubeconfig": forms.text,
    "context": forms.text,
    "namespace": _name,
    "timeout": forms.whole(1, "seconds"),
    "start_timeout": forms.whole(1, "seconds"),
    "ttl_seconds": forms.whole(60, "seconds"),
    "pull_policy": forms.one_of("missing", "always", "never"),
    "image_pull_secrets": _object_names,
    "service_account": _name,
    "priority_class": _name,
    "runtime_class": _name,
    "node_selector": _labels,
    "tolerations": _objects,
    "affinity": _object,
    "labels": _labels,
    "annotations": _annotations,
    "secrets": _secrets,
    "user": _user,
    "run_as_non_root": forms.flag,
    "read_only": forms.flag,
    "writable_paths": _paths,
    "cap_add": forms.capabilities,
    "gpu_resource": forms.text,
    "memory_request": forms.whole(1, "MiB"),
    "cpu_request": forms.cores,
    "default_memory_limit": forms.whole(6, "MiB"),
    "max_memory_limit": forms.whole(6, "MiB"),
    "default_cpu_limit": forms.cores,
    "max_cpu_limit": forms.cores,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesOptions:
    """
    The options of one Kubernetes host: a namespace of a cluster.

    ``kubeconfig``: a path in the worker's file system; empty = the pod's own service account, or what ``kubectl``
    there uses. ``namespace`` empty = the context's, or the pod's own. ``timeout``: seconds that the cluster may take
    to answer a call. ``start_timeout``: seconds from a pod's node to its start, pull included; ``None`` =
    ``START_TIMEOUT``. ``ttl_seconds``: how long the cluster keeps an ended job that no worker collects. ``user``: of
    jobs that name none; empty = the image's own. Memory in MiB, processors in cores; a request above a job's limit
    becomes the limit, and without one the limit is requested.
    """

    kubeconfig: str = ""
    context: str = ""
    namespace: str = ""
    timeout: int = 30
    start_timeout: int | None = None
    ttl_seconds: int = WEEK
    pull_policy: str = "missing"
    image_pull_secrets: tuple[str, ...] = ()
    service_account: str = ""
    priority_class: str = ""
    runtime_class: str = ""
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Mapping[str, Any], ...] = ()
    affinity: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    user: str = ""
    run_as_non_root: bool = True
    read_only: bool = True
    writable_paths: tuple[str, ...] = ("/tmp",)  # noqa: S108 - a volume of the pod's own
    cap_add: tuple[str, ...] = ()
    gpu_resource: str = "nvidia.com/gpu"
    memory_request: int | None = None
    cpu_request: float | None = None
    default_memory_limit: int | None = None
    max_memory_limit: int | None = None
    default_cpu_limit: float | None = None
    max_cpu_limit: float | None = None

    @classmethod
    def parse(cls, options: Mapping[str, Any]) -> Self:
        """The typed options. ``ValidationError`` with one message per unknown or wrong option, each naming it."""
        forms.validate("Kubernetes", options, OPTION_NAMES, CHECKS)
        if problems := list(_contradictions(options)):
            raise ValidationError(problems)
        values: dict[str, Any] = {
            name: tuple(given) if isinstance(given, list) else given for name, given in options.items()
        }
        return cls(**values)


OPTION_NAMES: Final = tuple(option.name for option in fields(KubernetesOptions))


def _contradictions(options: Mapping[str, Any]) -> Iterator[str]:
    yield from forms.above_maximum(options)
    user = USER.fullmatch(options.get("user", ""))
    if user and int(user[1]) == 0 and options.get("run_as_non_root", True):
        yield "'user' is root; that needs 'run_as_non_root' set to false."
