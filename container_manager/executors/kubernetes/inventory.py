"""The installation's Jobs and their pods: kept up to date by two watches, or read anew."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Final

from container_manager.exceptions import ExecutionNotFoundError
from container_manager.executors.kubernetes.client import Cluster, Object
from container_manager.executors.kubernetes.facts import JobFacts, PodFacts, job_facts, pod_facts
from container_manager.executors.kubernetes.phases import Phase
from container_manager.executors.kubernetes.store import Store
from container_manager.executors.kubernetes.watch import WatchedList
from container_manager.specs import LABEL_ATTEMPT, LABEL_INSTALLATION, LABEL_JOB

READ_ONE_BY_ONE: Final = 3
"""Up to so many are read by name; of more, the whole list."""
UNWATCHED: Final = 1000
"""So many are remembered by a process that never looks at the whole list."""


@dataclass(frozen=True, slots=True)
class Execution:
    """A Job and its pods, those that are gone included where they were seen."""

    job: JobFacts
    pods: tuple[PodFacts, ...]


class Inventory:
    """
    What one installation has in one namespace. All methods may be called from any thread.

    ``on_change`` is called, in a thread of the watches, when something is heard.
    """

    def __init__(
        self, cluster: Cluster, installation: str, timeout: float, on_change: Callable[[], None] = lambda: None
    ) -> None:
        self._cluster, self._installation, self._timeout = cluster, installation, timeout
        self._selector = f"{LABEL_INSTALLATION}={installation}"
        self._jobs: Store[JobFacts] = Store(group=lambda job: job.name, remains=lambda _: None)
        # How a pod ended that is gone is known only here.
        self._pods: Store[PodFacts] = Store(
            group=lambda pod: pod.owner,
            remains=lambda pod: replace(pod, is_gone=True) if self._jobs.has(pod.owner) else None,
        )
        self._watched_jobs = WatchedList(
            "Jobs", self._jobs, facts=self._own_job, on_change=on_change,
            list_pages=lambda: cluster.jobs(self._selector),
            open_watch=lambda version, seconds: cluster.watch_jobs(self._selector, version, seconds),
        )  # fmt: skip
        self._watched_pods = WatchedList(
            "pods", self._pods, facts=pod_facts, on_change=on_change,
            list_pages=lambda: cluster.pods(self._selector),
            open_watch=lambda version, seconds: cluster.watch_pods(self._selector, version, seconds),
        )  # fmt: skip

    @property
    def is_current(self) -> bool:
        """Do the watches tell, so that ``known`` is how it is?"""
        return self._watched_jobs.is_current and self._watched_pods.is_current

    def watched(self) -> list[Execution]:
        """All that there are, as the watches tell: no request. Raises what the cluster answers, if it fails."""
        jobs = self._watched_jobs.look(self._timeout)
        pods = self._watched_pods.look(self._timeout)
        owners = {job.uid for job in jobs}
        for pod in pods:
            if pod.is_gone and pod.owner not in owners:
                self._pods.drop(pod.uid)
        return [self._execution(job) for job in jobs]

    def fresh(self, names: Collection[str]) -> list[Execution]:
        """Those of ``names`` that there are, as the cluster says now."""
        if len(names) > READ_ONE_BY_ONE:
            listed = [
                job for page in self._cluster.jobs(self._selector) for job in map(self._own_job, page.items) if job
            ]
            jobs = [job for job in listed if job.name in names]
            pods = self._list_pods(self._selector)
        else:
            jobs = [job for name in names if (job := self._read(name)) is not None]
            pods = [pod for job in jobs for pod in self._read_pods(job)]
        for job in jobs:
            self._jobs.keep(job)
        owners = {job.uid for job in jobs}
        self._pods.renew(owners, [pod for pod in pods if pod.owner in owners])
        found = [self._execution(job) for job in jobs]
        if not self.is_current:
            self._jobs.shrink(UNWATCHED)
            self._pods.shrink(UNWATCHED)
        return found

    def known(self, name: str) -> Execution | None:
        """What was last heard of it, without a request; ``None`` = nothing."""
        job = next(iter(self._jobs.of(name)), None)
        return self._execution(job) if job else None

    def note(self, found: Object) -> None:
        """A Job as the cluster has just answered."""
        job = self._own_job(found)
        if job is not None:
            self._jobs.keep(job)

    def forget(self, job: JobFacts) -> None:
        """It was deleted, and its pods will be."""
        self._jobs.forget(job.uid)
        for pod in self._pods.of(job.uid):
            self._pods.forget(pod.uid)

    def close(self) -> None:
        self._watched_jobs.close()
        self._watched_pods.close()

    def _execution(self, job: JobFacts) -> Execution:
        return Execution(job, tuple(self._pods.of(job.uid)))

    def _own_job(self, found: Object) -> JobFacts | None:
        job = job_facts(found)
        return job if job is not None and job.installation == self._installation else None

    def _read(self, name: str) -> JobFacts | None:
        try:
            return self._own_job(self._cluster.read_job(name))
        except ExecutionNotFoundError:
            return None

    def _read_pods(self, job: JobFacts) -> list[PodFacts]:
        if job.phase is Phase.CREATED:
            return []
        return self._list_pods(f"{self._selector},{LABEL_JOB}={job.job_id},{LABEL_ATTEMPT}={job.attempt}")

    def _list_pods(self, selector: str) -> list[PodFacts]:
        return [pod for page in self._cluster.pods(selector) for pod in map(pod_facts, page.items) if pod]
