"""
What it costs to watch jobs on a cluster: ``python -m bench.cluster [--jobs 5000] [--seconds 60]``.

One worker launches the jobs on one Kubernetes host, of the cluster that ``KUBECONFIG`` names, in a namespace that is
deleted afterwards. No node fits them, so that each keeps a Job and a pod that waits. When all wait, the worker's
requests, processor time and memory are measured over some time in which nothing else happens.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import django
import psutil

os.environ["DJANGO_SETTINGS_MODULE"] = "bench.settings"
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from kubernetes import client, config  # noqa: E402

from bench.databases import database  # noqa: E402
from container_manager import queue_manager  # noqa: E402
from container_manager.executors.kubernetes import KubernetesExecutor  # noqa: E402
from container_manager.models import ContainerJob, ExecutorHost, Installation  # noqa: E402
from container_manager.services.executions import executor_for  # noqa: E402
from container_manager.states import Status  # noqa: E402
from container_manager.worker import WorkerLoop, WorkerOptions  # noqa: E402

BATCH = 500
NOWHERE = {"container-queue.example/no-such-node": "true"}


@contextmanager
def namespace() -> Iterator[tuple[str, Callable[[], int]]]:
    """A namespace of the cluster, and what counts its pods."""
    with config.new_client_from_config(os.environ["KUBECONFIG"]) as api:
        core: Any = client.CoreV1Api(api)
        name = f"cm-bench-{uuid4().hex[:8]}"
        core.create_namespace({"metadata": {"name": name}})

        def pods() -> int:
            page = core.list_namespaced_pod(name, limit=1)
            return len(page.items) + (page.metadata.remaining_item_count or 0)

        try:
            yield name, pods
        finally:
            core.delete_namespace(name)


def wait(condition: Callable[[], bool], what: str, seconds: float) -> float:
    """How long it took."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > seconds:
            raise SystemExit(f"{what} took more than {seconds:g} s.")
        time.sleep(1)
    return time.monotonic() - began


def measure(jobs: int, seconds: float, limit: float) -> dict[str, str]:
    call_command("migrate", verbosity=0)
    with namespace() as (name, pods):
        options = {"kubeconfig": os.environ["KUBECONFIG"], "namespace": name, "node_selector": NOWHERE}
        host = ExecutorHost.objects.create(
            name="cluster", executor_type="kubernetes", options=options, max_concurrent_jobs=jobs
        )
        for first in range(0, jobs, BATCH):
            several = [ContainerJob(image="busybox", command="true") for _ in range(min(BATCH, jobs - first))]
            queue_manager.queue_jobs(several)
        executor = executor_for(host, Installation.current("default").identifier)
        assert isinstance(executor, KubernetesExecutor)
        process = psutil.Process()
        loop = WorkerLoop(WorkerOptions(concurrency=jobs))
        worker = threading.Thread(target=loop.run)
        empty = process.memory_info().rss
        worker.start()
        try:
            running = ContainerJob.objects.filter(status=Status.RUNNING)
            launched = wait(lambda: running.count() == jobs, "the launches", limit)
            launching = executor.cluster.requests
            made = wait(lambda: pods() == jobs, "the pods", limit)
            time.sleep(10)
            requests, cpu, began = executor.cluster.requests, sum(process.cpu_times()[:2]), time.monotonic()
            time.sleep(seconds)
            lasted = time.monotonic() - began
            cpu, requests = sum(process.cpu_times()[:2]) - cpu, executor.cluster.requests - requests
            assert running.count() == jobs
            return {
                "jobs watched": f"{jobs}",
                "launched in": f"{launched:.0f} s, {launching} requests",
                "all pods there after another": f"{made:.0f} s",
                f"requests in {lasted:.0f} s": f"{requests}",
                "processor time meanwhile": f"{cpu:.1f} s, {100 * cpu / lasted:.0f} % of a core",
                "memory": f"{process.memory_info().rss >> 20} MiB, of which {empty >> 20} MiB before the first job",
            }
        finally:
            loop.request_stop()
            worker.join()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().splitlines()[0])
    parser.add_argument("--jobs", type=int, default=5000)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--limit", type=float, default=1800.0, help="seconds that the launches may take")
    given = parser.parse_args()
    with database(os.environ.get("TEST_DATABASE", "postgres"), "cluster") as name:
        connection.settings_dict["NAME"] = name  # of the connections of all threads
        try:
            for title, value in measure(given.jobs, given.seconds, given.limit).items():
                print(f"{title}: {value}")
        finally:
            connection.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
