"""A process host, Docker, Podman and a cluster in one installation: each does its part, and none waits for another."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from container_manager import queue_manager
from container_manager.models import ContainerJob, ExecutorHost, JobAttempt, Worker
from container_manager.states import TERMINAL, Status, Verb
from tests.executors.kubernetes.cluster_proxy import ClusterProxy
from tests.faults.conftest import Fleet, full_run
from tests.faults.engine_proxy import EngineProxy, Rule
from tests.faults.random_kills import run_through_kills
from tests.faults.starting import start_worker
from tests.processes import ending, wait_until

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.faults,
    # The SDK leaves a socket to the garbage collector when it cannot connect.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

ENGINES = ("cluster", "docker", "here", "podman")
"""The fleet's hosts, by name."""


LONG = 900.0
"""Seconds that a job works which is cancelled when the test has seen enough."""


def one_for_each_host(fleet: Fleet) -> dict[str, ContainerJob]:
    """A long job for each host, queued, by the host's name."""
    jobs = {name: fleet.job(queue=f"host:{name}", seconds=LONG) for name in ENGINES}
    queue_manager.queue_jobs(jobs.values())
    return jobs


def end(jobs: Collection[ContainerJob]) -> None:
    """They are cancelled, each in its first attempt."""
    for job in jobs:
        queue_manager.cancel_job(job)
    for job in jobs:
        assert (ended(job).status, job.attempt) == (Status.CANCELLED, 1)


def hosts_of(job: ContainerJob) -> list[str]:
    """Where each attempt of ``job`` was made, the first attempt first."""
    return list(job.attempts.order_by("number").values_list("host__name", flat=True))


def ended(job: ContainerJob) -> ContainerJob:
    """``job``, at its end."""

    def is_finished() -> bool:
        job.refresh_from_db()
        return job.status in TERMINAL

    wait_until(is_finished, seconds=180, what=f"the end of {job}")
    return job


def are(status: Status, jobs: Collection[ContainerJob]) -> Callable[[], bool]:
    keys = [job.pk for job in jobs]
    return lambda: ContainerJob.objects.filter(pk__in=keys, status=status).count() == len(keys)


@contextmanager
def breakable(fleet: Fleet, name: str, folder: Path) -> Iterator[tuple[Callable[[], object], Callable[[], object]]]:
    """The workers come to the host ``name`` through a proxy: two functions, after which it is silent, and speaks."""
    host = ExecutorHost.objects.filter(name=name)
    options = {**fleet.benches[name].host.options, "timeout": 10}
    if name == "cluster":
        with ClusterProxy(folder, options["kubeconfig"]) as cluster:
            host.update(options={**options, "kubeconfig": cluster.path})
            yield cluster.hang, cluster.calm
    else:
        with EngineProxy(folder, options["base_url"].removeprefix("unix://")) as engine:
            host.update(options={**options, "base_url": engine.address})
            yield lambda: engine.break_with(Rule("", "hang")), engine.calm


def test_a_job_runs_on_a_host_that_serves_its_queue(fleet: Fleet) -> None:
    for name in ENGINES:
        ExecutorHost.objects.filter(name=name).update(queues=[f"for-{name}"])
    jobs = {name: [fleet.job(queue=f"for-{name}", exit_code=number) for number in range(3)] for name in ENGINES}
    queue_manager.queue_jobs([job for some in jobs.values() for job in some])
    nowhere = queue_manager.queue_job(fleet.job(queue="nobodys"))
    with ending(start_worker()):
        wait_until(lambda: ContainerJob.objects.filter(finished_at=None).count() == 1, seconds=180, what="all ends")
        for name, some in jobs.items():
            assert [hosts_of(job) for job in some] == [[name]] * 3
            assert [ended(job).exit_code for job in some] == [0, 1, 2]
            assert [fleet.benches[name].starts_of(job) for job in some] == [1] * 3
        nowhere.refresh_from_db()
        assert (nowhere.status, hosts_of(nowhere)) == (Status.QUEUED, [])
        fleet.assert_never_twice()


def test_each_host_has_slots_of_its_own_and_all_are_used(fleet: Fleet) -> None:
    slots = dict(zip(ENGINES, (1, 2, 3, 2), strict=True))
    for name, most in slots.items():
        ExecutorHost.objects.filter(name=name).update(max_concurrent_jobs=most)
    jobs = queue_manager.queue_jobs([fleet.job(seconds=1) for _ in range(16)])
    most_seen: Counter[str] = Counter()
    workers = [start_worker(), start_worker()]
    with ending(*workers):

        def is_drained() -> bool:
            active = JobAttempt.objects.filter(active_job__isnull=False).values_list("host__name", flat=True)
            for name, count in Counter(active).items():
                most_seen[name] = max(most_seen[name], count)
            return are(Status.COMPLETED, jobs)()

        wait_until(is_drained, seconds=180, what="the drain")
        assert most_seen == slots
        fleet.assert_never_twice()


def test_a_drained_host_keeps_what_it_has_and_the_others_take_the_rest(fleet: Fleet) -> None:
    running = one_for_each_host(fleet)
    with ending(start_worker()):
        wait_until(are(Status.RUNNING, running.values()), seconds=180, what="a running job on each host")
        ExecutorHost.objects.filter(name__in=["cluster", "here"]).update(is_active=False)
        later = queue_manager.queue_jobs([fleet.job() for _ in range(8)])
        waiting = queue_manager.queue_job(fleet.job(queue="host:here"))
        wait_until(are(Status.COMPLETED, later), seconds=180, what="their ends")
        assert {name for job in later for name in hosts_of(job)} <= {"docker", "podman"}
        waiting.refresh_from_db()
        assert (waiting.status, hosts_of(waiting)) == (Status.QUEUED, [])
        for host in ExecutorHost.objects.filter(name="here"):
            host.is_active = True
            host.save()
        assert ended(waiting).status == Status.COMPLETED
        assert are(Status.RUNNING, running.values())()
        end(running.values())
        fleet.assert_never_twice()


@pytest.mark.parametrize("name", ["docker", "podman", "cluster"])
def test_an_engine_that_falls_silent_delays_no_other(fleet: Fleet, name: str, tmp_path: Path) -> None:
    with breakable(fleet, name, tmp_path) as (silence, speak), ending(start_worker()):
        before = queue_manager.queue_jobs([fleet.job(queue=f"host:{name}", seconds=LONG) for _ in range(2)])
        wait_until(are(Status.RUNNING, before), seconds=180, what="two running jobs")
        silence()
        late = queue_manager.queue_job(fleet.job(queue=f"host:{name}"))
        others = [fleet.job(queue=f"host:{other}") for other in ENGINES if other != name for _ in range(5)]
        queue_manager.queue_jobs(others)
        wait_until(are(Status.COMPLETED, others), seconds=180, what="the ends on the other hosts")
        down = ExecutorHost.objects.filter(name=name).exclude(health_error="")
        wait_until(down.exists, what="the silent host to be down")
        assert are(Status.RUNNING, before)(), "nothing is concluded from silence"
        assert fleet.starts_of(late) == 0
        speak()
        assert (ended(late).status, late.retry_count) == (Status.COMPLETED, 0)
        end(before)
        fleet.assert_never_twice()


def test_a_job_is_moved_by_queueing_it_again(fleet: Fleet) -> None:
    """While it waits, by taking it out of the queue; after its end, as it is."""
    ExecutorHost.objects.filter(name="docker").update(is_active=False)
    waiting = queue_manager.queue_job(fleet.job(queue="host:docker", exit_code=2))
    route = ["here", "podman", "cluster"]
    with ending(start_worker()):
        queue_manager.dequeue_job(waiting)
        for number, name in enumerate(route, start=1):
            waiting.queue = f"host:{name}"
            waiting.save()
            queue_manager.queue_job(waiting)
            ended(waiting)
            assert (waiting.status, waiting.exit_code, waiting.attempt) == (Status.FAILED, 2, number)
        assert hosts_of(waiting) == route
        assert [fleet.benches[name].starts_of(waiting) for name in ENGINES] == [1, 0, 1, 1]
        fleet.assert_never_twice()


def test_a_rolling_restart_of_the_workers_moves_no_running_job(fleet: Fleet) -> None:
    running = one_for_each_host(fleet)
    with ExitStack() as stack:
        workers = [start_worker(), start_worker()]
        stack.enter_context(ending(*workers))
        wait_until(are(Status.RUNNING, running.values()), seconds=180, what="a running job on each host")
        for leaving in workers:
            stack.enter_context(ending(successor := start_worker()))
            wait_until(Worker.objects.filter(process_id=successor.pid).exists, what="the new worker")
            leaving.send_signal(signal.SIGTERM)
            assert leaving.wait(timeout=60) == 0
        for worker in Worker.objects.all():
            os.kill(worker.process_id, signal.SIGTERM)
        wait_until(lambda: not Worker.objects.exists(), what="no worker")
        assert are(Status.RUNNING, running.values())()
        stack.enter_context(ending(start_worker()))
        end(running.values())
        for name, job in running.items():
            assert (hosts_of(job), job.output(), fleet.starts_of(job)) == ([name], "began\n", 1)
            assert not job.events.filter(verb=Verb.RESCUE).exists(), "a hand-over is no rescue"
        fleet.assert_never_twice()


@pytest.mark.timeout(3600)  # the full run is long
def test_workers_killed_at_random_lose_no_job_on_any_host(fleet: Fleet) -> None:
    queues = [*(f"host:{name}" for name in ENGINES), "default"]
    jobs = run_through_kills(
        fleet, "all four", full_run("FLEET_JOBS", 40), full_run("FLEET_KILLS", 8), lambda number: queues[number % 5]
    )
    used = Counter(name for job in jobs for name in hosts_of(job)[-1:])
    assert set(used) == set(ENGINES)
