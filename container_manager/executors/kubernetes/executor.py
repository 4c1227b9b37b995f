"""Jobs as Jobs of a Kubernetes cluster."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final

from container_manager import conf
from container_manager.exceptions import (
    ConfigurationError,
    ExecutionNotFoundError,
    ExecutionRunningError,
    ExecutorError,
    ExecutorUnavailableError,
    NameConflictError,
)
from container_manager.executors.base import Executor
from container_manager.executors.kubernetes.client import Cluster
from container_manager.executors.kubernetes.errors import ChangedError, ForbiddenError
from container_manager.executors.kubernetes.facts import JobFacts, PodFacts, job_facts
from container_manager.executors.kubernetes.inventory import Execution, Inventory
from container_manager.executors.kubernetes.manifest import Features, job_manifest
from container_manager.executors.kubernetes.observation import observe_job, why_hopeless
from container_manager.executors.kubernetes.options import KubernetesOptions
from container_manager.executors.kubernetes.output import Output
from container_manager.executors.kubernetes.phases import Phase, start_patch, stop_patch
from container_manager.executors.kubernetes.rights import missing_rights
from container_manager.specs import ExecutionState, Handle, HostHealth, JobSpec, LogBatch, Observation

TRIES: Final = 10
"""So often an object is read again that others change meanwhile."""
RIGHTS_SECONDS: Final = 600
"""How long the rights that were found are taken to hold."""
CONFIRM_AT_ONCE: Final = 20
"""So many ends without a pod to tell of them are looked into at one look; the others wait for the next."""


class KubernetesExecutor(Executor):
    """
    One namespace of a cluster. ``KubernetesOptions`` lists its options.

    ``supports_files`` is false: the cluster has no call that puts files into a pod that does not run yet.
    The two streams of a program's output come as one.
    """

    options_class: ClassVar[type[KubernetesOptions]] = KubernetesOptions

    def __init__(self, options: Mapping[str, Any], *, installation: str) -> None:
        super().__init__(options, installation=installation)
        self._options = self.options_class.parse(options)
        self.cluster = Cluster(self._options)
        self._inventory = Inventory(self.cluster, installation, self._options.timeout)
        self._output = Output(self.cluster, self._inventory)
        self._features: Features | None = None
        self._rights_until = 0.0

    def create(self, spec: JobSpec) -> Handle:
        manifest = job_manifest(spec, self._options, self._known_features())
        for _ in range(TRIES):
            try:
                created = self.cluster.create_job(manifest)
            except NameConflictError:
                existing = self._adopt(spec)
                if existing is not None:
                    return existing
                continue
            self._inventory.note(created)
            return Handle(spec.name, created["metadata"]["uid"])
        raise ExecutorUnavailableError(f"Kubernetes holds the name {spec.name} of a Job that it does not have.")

    def _adopt(self, spec: JobSpec) -> Handle | None:
        """The execution of that name if there is one; ``NameConflictError`` when it is not this specification's."""
        try:
            found = self.cluster.read_job(spec.name)
        except ExecutionNotFoundError:
            return None
        job = job_facts(found)
        if job is None or (job.installation, job.digest) != (spec.installation, spec.digest):
            raise NameConflictError(
                f"A Job that is not this attempt's has the name {spec.name}: its labels or its specification differ. "
                "It was left alone."
            )
        if found["metadata"].get("deletionTimestamp"):
            raise ExecutorUnavailableError(f"The Job {spec.name} is being deleted; try again.")
        self._inventory.note(found)
        return Handle(job.name, job.uid)

    def start(self, handle: Handle) -> None:
        patch = start_patch(is_suspended=self._known_features().suspend)
        try:
            self._inventory.note(self.cluster.patch_job(handle.name, patch))
        except ChangedError:
            job = self._read(handle)
            if job.phase is Phase.CREATED:
                raise

    def observe(self, handles: Collection[Handle] | None = None) -> list[Observation]:
        if handles is None:
            found = self._inventory.watched()
        elif handles:
            found = self._inventory.fresh({handle.name for handle in handles})
        else:
            return []
        return self._judge(found, is_fresh=handles is not None)

    def _judge(self, found: Iterable[Execution], *, is_fresh: bool) -> list[Observation]:
        now, observations, to_confirm = datetime.now(UTC), [], []
        for execution in found:
            if self._give_up_if_hopeless(execution, now):
                execution = self._inventory.known(execution.job.name) or execution
            seen = observe_job(execution.job, execution.pods, now)
            has_no_witness = seen.state is ExecutionState.EXITED and not execution.pods
            if is_fresh or not has_no_witness:
                observations.append(seen)
            else:
                # The list of pods may be behind that of Jobs.
                to_confirm.append(seen)
        now_known = {seen.handle.name for seen in to_confirm[:CONFIRM_AT_ONCE]}
        if now_known:
            observations += self._judge(self._inventory.fresh(now_known), is_fresh=True)
        return observations + [
            replace(seen, state=ExecutionState.RUNNING, exit_code=None, reason=None, error="")
            for seen in to_confirm[CONFIRM_AT_ONCE:]
        ]

    def _give_up_if_hopeless(self, execution: Execution, now: datetime) -> bool:
        patience = timedelta(seconds=self._options.start_timeout or conf.get("START_TIMEOUT"))
        verdict = why_hopeless(execution.job, execution.pods, now, patience)
        if verdict is None:
            return False
        try:
            self._inventory.note(self.cluster.patch_job(execution.job.name, stop_patch(verdict)))
        except (ChangedError, ExecutionNotFoundError):
            return False
        return True

    def logs(self, handle: Handle, since: str = "", *, limit_bytes: int = 1 << 20) -> LogBatch:
        return self._output.read(handle.name, since, limit_bytes)

    def stop(self, handle: Handle, grace_seconds: float) -> None:
        """
        As the interface says; a cluster older than 1.22 gives the pod's own grace, ``STOP_GRACE_SECONDS``.

        The pod is deleted, and its output with it; what it says until its end is kept in this process.
        """
        execution = next(iter(self._inventory.fresh({handle.name})), None)
        if execution is None or _state(execution) is not ExecutionState.RUNNING:
            return
        alive = [pod for pod in execution.pods if not pod.is_over]
        for pod in alive:
            self._output.listen(handle.name, pod)
        try:
            self._inventory.note(self.cluster.patch_job(handle.name, stop_patch()))
        except ChangedError:
            pass  # stopped before; now perhaps with less grace
        except ExecutionNotFoundError:
            return
        self._shorten(alive, grace_seconds)

    def _shorten(self, pods: Iterable[PodFacts], grace_seconds: float) -> None:
        for pod in pods:
            if grace_seconds < pod.grace_seconds:
                try:
                    self.cluster.delete_pod(pod.name, pod.uid, grace_seconds)
                except (ExecutionNotFoundError, ChangedError):
                    continue

    def remove(self, handle: Handle) -> None:
        self._remove(handle, {ExecutionState.CREATED, ExecutionState.EXITED})

    def discard(self, handle: Handle) -> None:
        self._remove(handle, {ExecutionState.CREATED})

    def _remove(self, handle: Handle, removable: Collection[ExecutionState]) -> None:
        for _ in range(TRIES):
            execution = self._for_removal(handle)
            if execution is None:
                return
            job = execution.job
            state = _state(execution)
            if state not in removable:
                raise ExecutionRunningError(f"{handle.name} runs, or has run.")
            only_if = {"uid": job.uid}
            if state is ExecutionState.CREATED:
                # Started meanwhile, it has another version.
                only_if["resourceVersion"] = job.version
            try:
                self.cluster.delete_job(job.name, only_if)
            except ChangedError:
                continue
            except ExecutionNotFoundError:
                pass
            self._inventory.forget(job)
            self._output.forget(job.name)
            return
        raise ExecutorError(f"{handle.name} was not removed: it changed each time.")

    def _for_removal(self, handle: Handle) -> Execution | None:
        """What is known of an ended one holds for good; everything else is looked at."""
        known = self._inventory.known(handle.name)
        if known is not None and known.pods and _state(known) is ExecutionState.EXITED:
            return known
        return next(iter(self._inventory.fresh({handle.name})), None)

    def check(self) -> HostHealth:
        """Also that the namespace exists and the rights are there, looked at every ten minutes."""
        version, numbers = self.cluster.version()
        self._features = Features(numbers)
        if time.monotonic() >= self._rights_until:
            self._check_rights()
            self._rights_until = time.monotonic() + RIGHTS_SECONDS
        return HostHealth(engine_id=self._identity(), version=version, details={"namespace": self.cluster.namespace})

    def _check_rights(self) -> None:
        missing = missing_rights(self.cluster.may)
        if missing:
            raise ConfigurationError(
                f"In the namespace {self.cluster.namespace!r} the cluster does not allow: {', '.join(missing)}. "
                "deploy/kubernetes/rbac.yaml grants what is needed."
            )
        try:
            self.cluster.namespace_uid(self.cluster.namespace)
        except ExecutionNotFoundError as error:
            raise ConfigurationError(
                f"The cluster has no namespace {self.cluster.namespace!r}: create it, or change the host's option."
            ) from error
        except ForbiddenError:
            pass  # it exists, since there are rights in it

    def _identity(self) -> str:
        """That of the cluster; where it is not shown to us, that of the namespace."""
        try:
            return self.cluster.namespace_uid("kube-system")
        except ForbiddenError:
            return self.cluster.namespace_uid(self.cluster.namespace)

    def close(self) -> None:
        self._output.close()
        self._inventory.close()
        self.cluster.close()

    def _known_features(self) -> Features:
        if self._features is None:
            self._features = Features(self.cluster.version()[1])
        return self._features

    def _read(self, handle: Handle) -> JobFacts:
        job = job_facts(self.cluster.read_job(handle.name))
        if job is None or job.installation != self.installation:
            raise ExecutionNotFoundError(f"There is no execution {handle.name} of this installation.")
        return job


def _state(execution: Execution) -> ExecutionState:
    return observe_job(execution.job, execution.pods, datetime.now(UTC)).state
