"""The options of a Kubernetes host: each one's type, default and right form."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from container_manager.executors import forms
from container_manager.executors.forms import Problem
from container_manager.executors.options import ResourceOptions, option

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


@dataclass(frozen=True, kw_only=True)
class KubernetesOptions(ResourceOptions):
    """The options of one Kubernetes host: a namespace of a cluster."""

    executor: ClassVar[str] = "Kubernetes"

    kubeconfig: str = option(
        "",
        forms.text,
        "a path in the worker's file system; empty = its pod's service account, or what kubectl there uses",
    )
    context: str = option("", forms.text, "of the kubeconfig; empty = its current one")
    namespace: str = option("", _name, "where jobs run; empty = the context's, or the worker's pod's own")
    timeout: int = option(30, forms.Whole(1, "seconds"), "seconds for one answer of the cluster")
    start_timeout: int | None = option(
        None,
        forms.Whole(1, "seconds"),
        "seconds from a pod's node to its start, the image's pull included; none = START_TIMEOUT",
    )
    ttl_seconds: int = option(
        WEEK, forms.Whole(60, "seconds"), "how long the cluster keeps an ended job that no worker collects"
    )
    pull_policy: str = option("missing", forms.OneOf(("missing", "always", "never")), "when an image is pulled")
    image_pull_secrets: tuple[str, ...] = option((), _object_names, "Secrets that hold registries' credentials")
    service_account: str = option("", _name, "of every pod")
    priority_class: str = option("", _name, "of every pod")
    runtime_class: str = option("", _name, "of every pod")
    node_selector: Mapping[str, str] = option({}, _labels, "labels of the nodes that jobs run on")
    tolerations: tuple[Mapping[str, Any], ...] = option((), _objects, "as in a pod's manifest")
    affinity: Mapping[str, Any] = option({}, _object, "as in a pod's manifest")
    labels: Mapping[str, str] = option({}, _labels, "on every Job and pod")
    annotations: Mapping[str, str] = option({}, _annotations, "on every Job and pod")
    secrets: Mapping[str, Mapping[str, str]] = option({}, _secrets, "variables of every job from keys of Secrets")
    user: str = option("", _user, "numeric, of jobs that name none; empty = the image's own")
    run_as_non_root: bool = option(True, forms.flag, "images and users that are root are refused")
    read_only: bool = option(True, forms.flag, "the root file system cannot be written")
    writable_paths: tuple[str, ...] = option(
        ("/tmp",),  # noqa: S108 - a volume of the pod's own
        _paths,
        "empty volumes in it that can",
    )
    cap_add: tuple[str, ...] = option((), forms.capabilities, "capabilities given; all others are dropped")
    gpu_resource: str = option("nvidia.com/gpu", forms.text, "what a job's gpus, a number, asks for")
    memory_request: int | None = option(
        None, forms.Whole(1, "MiB"), "MiB that the scheduler sets aside, a job's limit at most; none = the limit"
    )
    cpu_request: float | None = option(None, forms.cores, "cores that the scheduler sets aside, likewise")

    def contradictions(self) -> Iterator[str]:
        yield from super().contradictions()
        user = USER.fullmatch(self.user)
        if user and int(user[1]) == 0 and self.run_as_non_root:
            yield "'user' is root; that needs 'run_as_non_root' set to false."
