"""Which hosts a process can use, and the local one that needs no configuration."""

from __future__ import annotations

import platform
from collections.abc import Collection, Sequence

from container_manager import conf
from container_manager.exceptions import ConfigurationError
from container_manager.executors import executor_class
from container_manager.models import ExecutorHost

EMBEDDED_SLOTS = 100
HOW_TO_ADD_A_HOST = (
    "Add one: ExecutorHost.objects.create(name='docker', executor_type='docker', node=platform.node(), "
    "options={'base_url': 'unix:///var/run/docker.sock'}). To run jobs as local processes, which isolate nothing, "
    "set DEBUG or CONTAINER_MANAGER['ALLOW_PROCESS_EXECUTOR']."
)


def node_name() -> str:
    """This machine's name, unless a worker is told another."""
    return platform.node()


def reachable_hosts(using: str, node: str, names: Collection[str] = ()) -> list[ExecutorHost]:
    """
    The hosts that a process on ``node`` can use, drained ones included, optionally only those of ``names``.

    Where no host is configured and local processes are allowed, the embedded one, made at first use.
    """
    rows = list(ExecutorHost.objects.using(using).all())
    configured = [host for host in rows if not host.is_embedded]
    if configured:
        found = configured
    elif conf.is_process_executor_allowed():
        embedded = [host for host in rows if host.node == node]
        found = embedded or [_embedded_host(using, node)]
    else:
        found = []
    return [host for host in found if host.node in ("", node) and (not names or host.name in names)]


def serving(hosts: Sequence[ExecutorHost], queue: str) -> list[ExecutorHost]:
    """Those of ``hosts`` that serve ``queue``, the heaviest first."""
    return sorted((host for host in hosts if queue in host.served_queues), key=lambda host: (-host.weight, host.name))


def why_no_host(using: str, queue: str, node: str) -> str:
    """What is wrong when no host serves ``queue`` from ``node``, and what to do."""
    rows = list(ExecutorHost.objects.using(using).all())
    elsewhere = [host.name for host in serving(rows, queue) if host.node not in ("", node)]
    if elsewhere:
        return (
            f"Only workers on other nodes reach the hosts of queue {queue!r}: {', '.join(elsewhere)}; this is {node!r}."
        )
    if rows:
        known = sorted({name for host in rows for name in host.served_queues})
        return f"No executor host serves the queue {queue!r}; hosts serve: {', '.join(known)}."
    return f"There is no executor host. {HOW_TO_ADD_A_HOST}"


def why_no_files(using: str, queue: str) -> str:
    """Why no host of ``queue`` can run a job with files; empty when one can, or when there is no host yet."""
    rows = serving(list(ExecutorHost.objects.using(using).all()), queue)
    kinds = {host.executor_type for host in rows}
    if not rows or any(map(_may_take_files, kinds)):
        return ""
    names = ", ".join(host.name for host in rows)
    return (
        f"No host of queue {queue!r} takes files: {names} ({', '.join(sorted(kinds))}). "
        "Name a queue that a Docker, Podman or process host serves."
    )


def _may_take_files(executor_type: str) -> bool:
    try:
        return executor_class(executor_type).supports_files
    except ConfigurationError:
        # Its library is where the workers are, not here.
        return True


def _embedded_host(using: str, node: str) -> ExecutorHost:
    # A slug in the name: it is part of the host's own queue.
    name = "local-" + "".join(letter if letter.isalnum() else "-" for letter in node)[:52]
    host, _ = ExecutorHost.objects.using(using).get_or_create(
        name=name,
        defaults={
            "executor_type": "process", "node": node, "is_embedded": True, "max_concurrent_jobs": EMBEDDED_SLOTS,
        },
    )  # fmt: skip
    return host
