"""A Kubernetes host's options are judged when it is saved: each message names the option and its right form."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError

from container_manager.executors.kubernetes import KubernetesExecutor
from container_manager.models import ExecutorHost

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"kubeconfg": "x"}, "Kubernetes has no option 'kubeconfg'. Did you mean 'kubeconfig'?"),
    ({"namespace": "Not A Name"}, "'namespace' must be the name of an object"),
    ({"timeout": 0}, "'timeout' must be a whole number of seconds, at least 1"),
    ({"pull_policy": "sometimes"}, "'pull_policy' must be 'missing', 'always' or 'never'"),
    ({"image_pull_secrets": ["A"]}, "'image_pull_secrets' must be a list of names"),
    ({"node_selector": {"disk": "a b"}}, "'node_selector' must map names of labels"),
    ({"tolerations": "all"}, "'tolerations' must be a list of objects"),
    ({"affinity": []}, "'affinity' must be an object"),
    ({"labels": {"container-manager.job": "1"}}, "'labels' must not set container-manager.*"),
    ({"annotations": {"a": 1}}, "'annotations' must map names of annotations to strings"),
    ({"secrets": {"TOKEN": "shop/token"}}, "'secrets' must map variables to keys of secrets"),
    ({"secrets": {"TOKEN": {"secret": "shop"}}}, "'secrets' must map variables to keys of secrets"),
    ({"user": "root"}, "'user' must be numeric"),
    ({"user": "0"}, "'user' is root; that needs 'run_as_non_root' set to false."),
    ({"writable_paths": ["tmp"]}, "'writable_paths' must be a list of absolute paths"),
    ({"cap_add": ["ALL"]}, "'cap_add' must name each capability instead of 'ALL'"),
    ({"cpu_request": 0}, "'cpu_request' must be a number of cores above 0"),
    ({"default_memory_limit": 512, "max_memory_limit": 256}, "'default_memory_limit' (512) must not be above"),
]


@pytest.mark.parametrize(("options", "message"), WRONG, ids=lambda value: str(value)[:40])
def test_a_wrong_option_is_refused_by_name(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        KubernetesExecutor.validate_options(options)
    assert caught.value.messages[0].startswith(message)


def test_every_wrong_option_is_named_at_once() -> None:
    with pytest.raises(ValidationError) as caught:
        KubernetesExecutor.validate_options({"user": "me", "timeout": "long", "colour": "red"})
    assert len(caught.value.messages) == 3


def test_the_options_of_a_full_host_are_accepted_and_kept_by_full_clean() -> None:
    options = {
        "kubeconfig": "/etc/worker/kubeconfig", "context": "prod", "namespace": "jobs", "timeout": 10,
        "start_timeout": 120, "ttl_seconds": 3600, "pull_policy": "always", "image_pull_secrets": ["registry"],
        "service_account": "jobs", "priority_class": "batch", "runtime_class": "gvisor",
        "node_selector": {"kubernetes.io/arch": "amd64"}, "tolerations": [{"key": "gpu", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}}, "labels": {"team": "video"}, "annotations": {"example.com/a": "any text"},
        "secrets": {"DATABASE_URL": {"secret": "shop", "key": "url"}}, "user": "1000:1000", "cap_add": ["CHOWN"],
        "writable_paths": ["/var/cache"], "gpu_resource": "amd.com/gpu", "memory_request": 64,
        "cpu_request": 0.1, "default_memory_limit": 256, "max_memory_limit": 1024, "max_cpu_limit": 4,
    }  # fmt: skip
    host = ExecutorHost(name="cluster", executor_type="kubernetes", options=options)
    host.clean()
    assert host.options == options
