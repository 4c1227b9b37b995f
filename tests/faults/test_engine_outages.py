"""An engine that answers late, wrongly, or not at all: each job runs once and ends as it would have."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from container_manager import queue_manager
from container_manager.models import ContainerJob, ExecutorHost, JobAttempt
from container_manager.states import Outcome, Status, StopReason
from tests.faults.conftest import WITH_A_SOCKET, DockerBench, ProcessBench, address_of, full_run, socket_of
from tests.faults.engine_events import EngineEvents
from tests.faults.engine_proxy import EngineProxy, Rule
from tests.faults.starting import start_worker, start_worker_with
from tests.processes import ending, wait_until

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.faults,
    # The SDK leaves a socket to the garbage collector when it cannot connect.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

CREATE, START = "POST /containers/create", "POST /containers/[^/]+/start"
LIST, INSPECT, LOGS = r"GET /containers/json", r"GET /containers/[^/]+/json", "GET /containers/[^/]+/logs"
STOP, REMOVE, ANY = "POST /containers/[^/]+/stop", "DELETE /containers/", ""


@pytest.fixture(params=WITH_A_SOCKET)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def proxy(engine: str, tmp_path: Path) -> Iterator[EngineProxy]:
    with EngineProxy(tmp_path, socket_of(engine)) as one:
        yield one


@pytest.fixture
def bench(engine: str, proxy: EngineProxy) -> Iterator[DockerBench]:
    """A host whose engine is behind the proxy, and waits two seconds for it."""
    with EngineEvents(address_of(engine)) as events:
        one = DockerBench(events, engine)
        # The test itself looks past the proxy, and waits as long as it takes.
        behind = {**one.host.options, "base_url": proxy.address, "timeout": 2}
        ExecutorHost.objects.filter(pk=one.host.pk).update(options=behind)
        yield one
        one.close()


SILENT: dict[str, Rule] = {
    "create: dropped": Rule(CREATE, "drop", 2),
    "create: done, answer lost": Rule(CREATE, "lose", 1),
    "create: late": Rule(CREATE, "delay", 1, seconds=3),
    "create: 409 and there is none": Rule(CREATE, "answer", 2, status=409, message="name is already in use"),
    "create: done, then 500": Rule(CREATE, "replace", 1),
    "start: dropped": Rule(START, "drop", 1),
    "start: later than its removal": Rule(START, "delay", 1, seconds=4),
    "start: 500": Rule(START, "answer", 1),
    "start: done, answer lost": Rule(START, "lose", 2),
    "start: done, answer cut": Rule(START, "cut", 2),
    "start: done, then 500": Rule(START, "replace", 2),
    "start: done, then 304": Rule(START, "replace", 2, status=304),
    "start: done, then 409": Rule(START, "replace", 2, status=409, message="something is not right"),
    "list: dropped": Rule(LIST, "drop", 2),
    "list: 500": Rule(LIST, "answer", 2),
    "list: cut": Rule(LIST, "cut", 2),
    "list: hangs": Rule(LIST, "hang", 2),
    "inspect: 500": Rule(INSPECT, "answer", 3),
    "inspect: hangs": Rule(INSPECT, "hang", 1),
    "logs: dropped": Rule(LOGS, "drop", 2),
    "logs: cut": Rule(LOGS, "cut", 2),
    "logs: hang": Rule(LOGS, "hang", 1),
    "logs: 500": Rule(LOGS, "answer", 2),
    "remove: dropped": Rule(REMOVE, "drop", 2),
    "remove: done, answer lost": Rule(REMOVE, "lose", 1),
    "remove: 500": Rule(REMOVE, "answer", 3),
    "remove: 409": Rule(REMOVE, "answer", 3, status=409, message="is being used"),
}
"""Faults that say nothing about the job: none costs it a launch."""

REFUSED: dict[str, Rule] = {
    "start: 409": Rule(START, "answer", 1, status=409, message="marked for removal and cannot be started"),
    "start: 404": Rule(START, "answer", 1, status=404, message="No such container: it"),
}
"""Faults after which the engine itself says that the container was not started."""


def run_through(bench: DockerBench, proxy: EngineProxy, rule: Rule) -> list[ContainerJob]:
    """Three jobs end while ``rule`` strikes; what they left in the engine is swept."""
    jobs = queue_manager.queue_jobs([bench.job(seconds=0.5, exit_code=number) for number in range(3)])
    with proxy.broken([rule]):
        worker = start_worker()
        with ending(worker):
            bench.wait_until_all_finished()
            wait_until(lambda: proxy.hits[rule.pattern] > 0, seconds=60, what="the fault")  # removal follows the end
            proxy.calm()
            for exit_code, job in enumerate(jobs):
                job.refresh_from_db()
                assert (job.exit_code, job.status) == (exit_code, Status.FAILED if exit_code else Status.COMPLETED)
                assert job.output() == "began\n"
                assert bench.starts_of(job) == 1, "it ran once"
            bench.assert_never_twice()
    assert not JobAttempt.objects.filter(outcome=Outcome.LOST).exists()
    return jobs


@pytest.mark.parametrize("fault", SILENT)
def test_silence_of_the_engine_costs_a_job_nothing(bench: DockerBench, proxy: EngineProxy, fault: str) -> None:
    jobs = run_through(bench, proxy, replace(SILENT[fault]))
    assert [(job.retry_count, job.infra_rerun_count) for job in jobs] == [(0, 0)] * 3


@pytest.mark.parametrize("fault", REFUSED)
def test_a_start_that_provably_failed_is_tried_again_once(bench: DockerBench, proxy: EngineProxy, fault: str) -> None:
    jobs = run_through(bench, proxy, replace(REFUSED[fault]))
    assert sum(job.attempt for job in jobs) == 4
    assert sum(job.retry_count for job in jobs) == 1


def test_a_start_that_comes_between_the_last_look_and_the_removal_is_no_reason_for_another(
    bench: DockerBench, proxy: EngineProxy
) -> None:
    """The start is late, its program is quick: what the removal finds has ended, and it removes it."""
    job = queue_manager.queue_job(bench.job())
    with proxy.broken([Rule(START, "delay", 1, seconds=3), Rule(REMOVE, "delay", 1, seconds=1.7)]):
        worker = start_worker()
        with ending(worker):
            bench.wait_until_all_finished()
            assert (proxy.hits[START], proxy.hits[REMOVE]) == (1, 1)
            assert bench.starts_of(job) == 1
            bench.assert_never_twice()
    job.refresh_from_db()
    assert job.attempt == 1
    # Its program was seen to run, or to be gone.
    assert job.outcome in (Outcome.OK, Outcome.LOST)


def test_an_engine_that_cannot_create_one_job_ends_it_and_runs_the_others(
    bench: DockerBench, proxy: EngineProxy
) -> None:
    cursed = queue_manager.queue_job(bench.job(max_retries=2, priority=90))
    others = queue_manager.queue_jobs([bench.job() for _ in range(3)])
    with proxy.broken([Rule(f"{CREATE}\\?name=cm-[a-z0-9]+-{cursed.pk.hex}", "answer", message="no idea")]):
        worker = start_worker_with({"MAX_RESCUES": 3}, "--drain")
        with ending(worker):
            assert worker.wait(timeout=120) == 0
    assert [queue_manager.wait_for(job, timeout=1).status for job in others] == [Status.COMPLETED] * 3
    cursed.refresh_from_db()
    assert (cursed.status, cursed.outcome, cursed.attempt) == (Status.FAILED, Outcome.INFRA_ERROR, 3 + 2)


def test_a_stop_whose_answer_is_lost_is_asked_for_until_it_works(bench: DockerBench, proxy: EngineProxy) -> None:
    job = queue_manager.queue_job(bench.job(seconds=60))
    worker = start_worker("never", 1, "KILL", "--drain")
    with ending(worker), proxy.broken([Rule(STOP, "drop", 2), Rule(STOP, "answer", 1)]):
        wait_until(lambda: ContainerJob.objects.filter(status=Status.RUNNING).exists(), what="a running job")
        queue_manager.cancel_job(job)
        assert worker.wait(timeout=60) == 0
    job.refresh_from_db()
    assert (job.status, job.outcome, proxy.hits[STOP]) == (Status.CANCELLED, Outcome.CANCELLED, 3)
    assert job.attempts.get().killed_by == StopReason.CANCEL
    bench.assert_never_twice()


def test_an_engine_that_is_away_for_a_while_stops_and_loses_no_job(bench: DockerBench, proxy: EngineProxy) -> None:
    running = queue_manager.queue_jobs([bench.job(seconds=number, exit_code=number) for number in (2, 3, 6, 9)])
    worker = start_worker()
    with ending(worker):
        wait_until(lambda: ContainerJob.objects.filter(status=Status.RUNNING).count() == 4, what="four running jobs")
        proxy.go_away()
        late = queue_manager.queue_job(bench.job())
        down = ExecutorHost.objects.filter(pk=bench.host.pk).exclude(health_error="")
        wait_until(down.exists, what="the host to be down")
        attempts = JobAttempt.objects.filter(active_job__isnull=False)
        # Longer than MISSING_GRACE_SECONDS: two of them end meanwhile, unseen.
        wait_until(lambda: down.filter(failures__gte=3).exists(), what="the third look in vain")
        assert attempts.count() == 4, "nothing is concluded from silence"
        assert bench.starts_of(late) == 0
        proxy.come_back()
        bench.wait_until_all_finished()
        for job in running:
            job.refresh_from_db()
            assert (job.status, job.attempt, job.output()) == (Status.FAILED, 1, "began\n")
        assert [job.exit_code for job in running] == [2, 3, 6, 9]
        late.refresh_from_db()
        assert (late.status, late.retry_count) == (Status.COMPLETED, 0)
        bench.assert_never_twice()
    assert ExecutorHost.objects.get(pk=bench.host.pk).health_error == ""


def test_other_hosts_go_on_while_one_hangs(bench: DockerBench, proxy: EngineProxy, tmp_path: Path) -> None:
    hanging = queue_manager.queue_jobs([bench.job(queue=f"host:{bench.host.name}", seconds=4) for _ in range(3)])
    worker = start_worker()
    with ending(worker):
        wait_until(lambda: ContainerJob.objects.filter(status=Status.RUNNING).count() == 3, what="three running jobs")
        with proxy.broken([Rule(ANY, "hang")]):
            here = ProcessBench(tmp_path)
            jobs = queue_manager.queue_jobs([here.job(queue="host:here") for _ in range(20)])
            for job in jobs:
                assert queue_manager.wait_for(job, timeout=60).status == Status.COMPLETED
            wait_until(lambda: proxy.hits[ANY] > 0, what="a request that hangs")
            assert ContainerJob.objects.filter(pk__in=[j.pk for j in hanging], status=Status.RUNNING).count() == 3
        bench.wait_until_all_finished()
        for job in hanging:
            job.refresh_from_db()
            assert (job.status, bench.starts_of(job)) == (Status.COMPLETED, 1)
        bench.assert_never_twice()


def test_a_storm_of_random_faults_runs_each_job_once(bench: DockerBench, proxy: EngineProxy) -> None:
    fates = [(0, 3, 77)[number % 3] for number in range(full_run("STORM", 24))]
    jobs = queue_manager.queue_jobs([bench.job(seconds=0.3, exit_code=fate, max_retries=50) for fate in fates])
    storm = [
        Rule("GET /info", "drop", chance=0.1),
        *(Rule(r"(POST|GET|DELETE) /containers", how, chance=0.02) for how in ("drop", "lose", "cut", "replace")),
        Rule(r"(POST|GET|DELETE) /containers", "delay", seconds=2.5, chance=0.02),
    ]
    workers = [start_worker(), start_worker()]
    with ending(*workers):
        with proxy.broken(storm):
            deadline = time.monotonic() + 60
            while ContainerJob.objects.filter(finished_at=None).exists() and time.monotonic() < deadline:
                time.sleep(0.2)
        # Podman, slow by itself, is taken for down again and again, and asked that much less.
        assert sum(proxy.hits.values()) > (10 if bench.host.executor_type == "docker" else 1), "a storm"
        bench.wait_until_all_finished()
        wrong = []
        for fate, job in zip(fates, jobs, strict=True):
            job.refresh_from_db()
            if (job.exit_code, bench.starts_of(job)) != (fate, 1):
                wrong.append((job.exit_code, fate, job.outcome, job.error, bench.starts_of(job)))
        assert wrong == []
        bench.assert_never_twice()
