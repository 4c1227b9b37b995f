"""The watches against a real API server: expired versions, cut and silent connections, bookmarks, listing again."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from urllib3 import HTTPResponse

from container_manager.exceptions import ExecutorUnavailableError
from container_manager.executors.kubernetes import KubernetesExecutor, watch
from container_manager.executors.kubernetes.client import Page, lines
from container_manager.executors.kubernetes.errors import ExpiredError
from container_manager.executors.kubernetes.facts import JobFacts, job_facts
from container_manager.executors.kubernetes.store import Store
from container_manager.executors.kubernetes.watch import WatchedList
from container_manager.specs import LABEL_INSTALLATION, Handle
from tests.executors.kubernetes.cluster_proxy import ClusterProxy
from tests.executors.kubernetes.running import host_options, kubernetes_executor, launch, shell, spec, wait_until

pytestmark = pytest.mark.kubernetes


class Jobs:
    """
    The Jobs of ``executor``'s installation, watched without the executor's own lists.

    ``listed`` and ``watched_from``: each version that a list told and that a watch was opened at.
    ``stale_lists``: so many lists claim to be of the cluster's first version.
    """

    def __init__(self, executor: KubernetesExecutor, stale_lists: int = 0) -> None:
        self._cluster, self._selector = executor.cluster, f"{LABEL_INSTALLATION}={executor.installation}"
        self._stale_lists = stale_lists
        self.listed: list[str] = []
        self.watched_from: list[str] = []
        self.store: Store[JobFacts] = Store(group=lambda job: job.name, remains=lambda _: None)
        self.watched = WatchedList(
            "Jobs", self.store, list_pages=self._list, open_watch=self._open, facts=job_facts, on_change=lambda: None
        )

    def names(self) -> list[str]:
        return sorted(job.name for job in self.watched.look(60))

    def is_first_version_known(self) -> bool:
        """Whether the cluster is so young that it can still tell what has changed since its first version."""
        try:
            events = list(lines(self._cluster.watch_jobs(self._selector, "1", 1)))
        except ExpiredError:
            return False
        return all(event["type"] != "ERROR" for event in events)

    def _list(self) -> Iterator[Page]:
        for page in self._cluster.jobs(self._selector):
            given = replace(page, version="1") if len(self.listed) < self._stale_lists else page
            self.listed.append(given.version)
            yield given

    def _open(self, version: str, seconds: int) -> HTTPResponse:
        self.watched_from.append(version)
        return self._cluster.watch_jobs(self._selector, version, seconds)


@pytest.fixture
def executor() -> Iterator[KubernetesExecutor]:
    with kubernetes_executor() as one:
        yield one


@pytest.fixture
def watching(executor: KubernetesExecutor) -> Iterator[Callable[..., Jobs]]:
    made: list[Jobs] = []

    def watching(stale_lists: int = 0) -> Jobs:
        made.append(Jobs(executor, stale_lists))
        return made[-1]

    yield watching
    for jobs in made:
        jobs.watched.close()


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[ClusterProxy]:
    with ClusterProxy(tmp_path, os.environ["KUBECONFIG"]) as one:
        yield one


@pytest.fixture
def far(proxy: ClusterProxy, executor: KubernetesExecutor) -> Iterator[KubernetesExecutor]:
    """The same installation, through the proxy."""
    options = host_options(kubeconfig=proxy.path, timeout=3)
    one = KubernetesExecutor(options, installation=executor.installation)
    yield one
    one.close()


def names(executor: KubernetesExecutor) -> set[str]:
    return {seen.handle.name for seen in executor.observe()}


def test_a_version_that_the_cluster_no_longer_has_is_answered_by_listing_again(
    executor: KubernetesExecutor, watching: Callable[..., Jobs]
) -> None:
    jobs = watching(stale_lists=2)
    if jobs.is_first_version_known():
        pytest.skip("this cluster is so young that it has forgotten nothing yet")
    assert jobs.names() == []
    wait_until(lambda: len(jobs.listed) >= 3, what="the third list")
    handle = executor.create(spec(executor))
    wait_until(lambda: jobs.names() == [handle.name], what="its creation")
    assert jobs.listed[:2] == ["1", "1"]
    assert jobs.watched_from[:2] == ["1", "1"], "410 Gone, by the real API server"
    assert len(jobs.listed) == 3, "the third was watched from"
    executor.remove(handle)
    wait_until(lambda: jobs.names() == [], what="its removal")


def test_a_cut_connection_is_opened_anew_where_it_was_without_listing(
    executor: KubernetesExecutor, far: KubernetesExecutor, proxy: ClusterProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = executor.create(spec(executor))
    assert names(far) == {first.name}
    lists: list[str] = []

    def counted(real: Callable[[str], Iterator[Page]]) -> Callable[[str], Iterator[Page]]:
        def listing(selector: str) -> Iterator[Page]:
            lists.append(selector)
            return real(selector)

        return listing

    monkeypatch.setattr(far.cluster, "jobs", counted(far.cluster.jobs))
    monkeypatch.setattr(far.cluster, "pods", counted(far.cluster.pods))
    for _ in range(3):
        accepted = proxy.accepted
        proxy.cut()
        wait_until(lambda accepted=accepted: proxy.accepted >= accepted + 2, what="both watches")  # type: ignore[misc]
        second = executor.create(spec(executor))
        wait_until(lambda second=second: second.name in names(far), what="what was created")  # type: ignore[misc]
        executor.remove(second)
        wait_until(lambda: names(far) == {first.name}, what="what was removed")
    assert lists == []


def test_what_happens_while_the_cluster_is_out_of_reach_is_seen_afterwards(
    executor: KubernetesExecutor, far: KubernetesExecutor, proxy: ClusterProxy
) -> None:
    running, gone = launch(executor, shell(executor, "exit 7")), executor.create(spec(executor))
    assert names(far) == {running.name, gone.name}
    proxy.go_away()

    def is_told() -> bool:
        try:
            far.observe()
        except ExecutorUnavailableError:
            return True
        return False

    wait_until(is_told, what="the error")
    executor.remove(gone)
    late = executor.create(spec(executor))
    wait_until(lambda: executor.observe([running])[0].exit_code == 7, what="the end")
    proxy.come_back()
    wait_until(lambda: not is_told(), what="an answer")
    wait_until(lambda: names(far) == {running.name, late.name}, what="all there is")

    def code(handle: Handle) -> int | None:
        return next(seen.exit_code for seen in far.observe() if seen.handle.name == handle.name)

    wait_until(lambda: code(running) == 7, what="the end, seen from afar")


def test_a_connection_that_is_silent_without_an_end_is_noticed(
    executor: KubernetesExecutor, far: KubernetesExecutor, proxy: ClusterProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "WATCH_SECONDS", 2)
    assert names(far) == set()
    proxy.hang()
    with pytest.raises(ExecutorUnavailableError):
        wait_until(lambda: far.observe() is None, what="the error")
    proxy.calm()
    handle = executor.create(spec(executor))

    def is_seen() -> bool:
        try:
            return names(far) == {handle.name}
        except ExecutorUnavailableError:
            return False

    wait_until(is_seen, what="its creation")


def test_bookmarks_move_a_quiet_watch_on(
    executor: KubernetesExecutor, watching: Callable[..., Jobs], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "WATCH_SECONDS", 5)  # the API server sends one two seconds before the end
    jobs = watching()
    assert jobs.names() == []
    with kubernetes_executor() as stranger:
        for _ in range(3):
            stranger.remove(stranger.create(spec(stranger)))
    wait_until(lambda: int(jobs.watched_from[-1]) > int(jobs.listed[0]), what="a watch from a later version")
    assert len(jobs.listed) == 1
    assert jobs.names() == []


def test_now_and_then_everything_is_listed_again_and_what_is_wrong_is_put_right(
    executor: KubernetesExecutor, watching: Callable[..., Jobs], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "WATCH_SECONDS", 1)
    monkeypatch.setattr(watch, "RELIST_SECONDS", 2)
    jobs = watching()
    handle = executor.create(spec(executor))
    wait_until(lambda: jobs.names() == [handle.name], what="its creation")
    [known] = jobs.store.all()
    jobs.store.keep(replace(known, uid="one-whose-removal-was-missed", name="missed"))
    wait_until(lambda: jobs.names() == [handle.name], what="the list that strikes it")
    assert len(jobs.listed) >= 2
