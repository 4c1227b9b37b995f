"""Jobs as containers of a Docker engine."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, BinaryIO, ClassVar, Final

from container_manager.exceptions import (
    ExecutionNotFoundError,
    ExecutionRunningError,
    ExecutorUnavailableError,
    ImageNotFoundError,
    NameConflictError,
)
from container_manager.executors.base import Executor
from container_manager.executors.docker.client import Engine
from container_manager.executors.docker.container import create_config
from container_manager.executors.docker.dialects import DOCKER, PODMAN, Dialect
from container_manager.executors.docker.events import DockerEnds, was_started
from container_manager.executors.docker.files import FOLDERS, get_files, put_files, put_secrets
from container_manager.executors.docker.logs import read_logs
from container_manager.executors.docker.observation import (
    CANNOT_RUN,
    NOT_EXECUTABLE,
    NOT_FOUND,
    measured,
    observe_container,
    observe_listed,
)
from container_manager.executors.docker.options import DockerOptions, PodmanOptions
from container_manager.executors.docker.pull import ImagePuller
from container_manager.specs import (
    LABEL_ATTEMPT,
    LABEL_INSTALLATION,
    LABEL_JOB,
    LABEL_SPEC,
    ExecutionState,
    Folders,
    Handle,
    HostHealth,
    JobSpec,
    LogBatch,
    Observation,
    Usage,
)
from container_manager.states import Outcome

logger = logging.getLogger(__name__)

OUR_LABELS: Final = (LABEL_INSTALLATION, LABEL_JOB, LABEL_ATTEMPT, LABEL_SPEC)
NAME_PAUSE_SECONDS: Final = 0.05
INIT_MESSAGE_BYTES: Final = 512
"""Within so many bytes, counted as ``logs`` does, the init process has said what is wrong."""
_START_LOCKS: Final = tuple(threading.Lock() for _ in range(64))


class DockerExecutor(Executor):
    """
    One engine with Docker's interface. ``DockerOptions`` lists its options.

    Which dialect it speaks is asked at first contact. ``on_progress`` is called at most every 10 seconds.
    """

    supports_ends: ClassVar[bool] = True
    options_class: ClassVar[type[DockerOptions]] = DockerOptions
    likely_dialect: ClassVar[Dialect] = DOCKER
    supports_files: ClassVar[bool] = True
    has_live_usage: ClassVar[bool] = True

    def __init__(self, options: Mapping[str, Any], *, installation: str) -> None:
        super().__init__(options, installation=installation)
        self._docker_options = self.options_class.parse(options)
        self._engine = Engine(self._docker_options, self.likely_dialect)
        self._puller = ImagePuller(self._engine, self._docker_options.registries)
        self.max_input_size, self.max_output_size = self._docker_options.size_limits()
        self._seen: dict[str, Observation] = {}

    @classmethod
    def is_node_bound(cls, options: Mapping[str, Any]) -> bool:
        return cls.options_class.parse(options).base_url.startswith("unix:")

    def create(self, spec: JobSpec) -> Handle:
        config = create_config(spec, self._docker_options, self._engine.identified())
        if self._docker_options.pull_policy == "always":
            existing = self._adopt(spec)
            if existing is not None:
                return existing
            self._puller.pull(spec.image, self.on_progress)
            return self._create_or_adopt(spec, config)
        try:
            return self._create_or_adopt(spec, config)
        except ImageNotFoundError as error:
            if self._docker_options.pull_policy == "never":
                raise ImageNotFoundError(f"{error} The host's option 'pull_policy' is 'never'.") from error
        self._puller.pull(spec.image, self.on_progress)
        return self._create_or_adopt(spec, config)

    def _create_or_adopt(self, spec: JobSpec, config: dict[str, Any]) -> Handle:
        """The execution of that name, new or not. ``ImageNotFoundError`` when there is none and no image for one."""
        deadline = time.monotonic() + self._docker_options.timeout
        while time.monotonic() < deadline:
            missing_image: ImageNotFoundError | None = None
            try:
                return self._create_new(spec, config)
            except NameConflictError:
                pass
            except ImageNotFoundError as error:
                missing_image = error
            # Also without its image: an execution outlives the tag.
            existing = self._adopt(spec)
            if existing is not None:
                return existing
            if missing_image is not None:
                raise missing_image
            # Another call creates or removes a container of that name at this moment.
            time.sleep(NAME_PAUSE_SECONDS)
        raise ExecutorUnavailableError(f"Docker holds the name {spec.name} of a container that it does not have.")

    def _create_new(self, spec: JobSpec, config: dict[str, Any]) -> Handle:
        with self._engine.calling(f"create {spec.name}") as client:
            created = client.create_container_from_config(config, spec.name)  # type: ignore[no-untyped-call]
        for warning in created.get("Warnings") or ():
            logger.warning("Docker: %s", warning, extra={"execution": spec.name})
        return Handle(spec.name, created["Id"])

    def _adopt(self, spec: JobSpec) -> Handle | None:
        """The execution of that name if there is one; ``NameConflictError`` when it is not this specification's."""
        try:
            found = self._inspect(spec.name)
        except ExecutionNotFoundError:
            return None
        labels, ours = found["Config"]["Labels"] or {}, spec.labels
        differing = [label for label in OUR_LABELS if labels.get(label) != ours[label]]
        if differing:
            raise NameConflictError(
                f"A container that is not this attempt's has the name {spec.name}: {', '.join(differing)} differ. "
                "It was left alone."
            )
        if found["State"]["Status"] in ("removing", "dead"):
            raise ExecutorUnavailableError(f"The container {spec.name} is being removed; try again.")
        return Handle(spec.name, found["Id"])

    def start(self, handle: Handle) -> None:
        # The engine would run an ended container a second time, so looking and starting are one step.
        lock = _START_LOCKS[hash(handle.name) % len(_START_LOCKS)]
        if not lock.acquire(timeout=2 * self._docker_options.timeout):
            raise ExecutorUnavailableError(f"Another start keeps that of {handle.name} waiting; the engine hangs.")
        try:
            self._start_once(handle)
        finally:
            lock.release()

    def _start_once(self, handle: Handle) -> None:
        found = self._inspect(handle.name)
        seen = observe_container(found, self._engine.dialect)
        if seen is None or seen.installation != self.installation:
            raise ExecutionNotFoundError(f"There is no execution {handle.name} of this installation.")
        if seen.state is not ExecutionState.CREATED:
            return
        try:
            with self._engine.calling(f"start {handle.name}") as client:
                client.start(found["Id"])
        except ExecutionRunningError:
            return

    def observe(self, handles: Collection[Handle] | None = None) -> list[Observation]:
        if handles is not None and len(handles) <= 1:
            return [seen for handle in handles if (seen := self._look(handle.name)) is not None]
        with self._engine.calling("list its containers") as client:
            listed = client.containers(all=True, filters={"label": [f"{LABEL_INSTALLATION}={self.installation}"]})
        present = {item["Id"] for item in listed}
        self._seen = {identifier: seen for identifier, seen in self._seen.copy().items() if identifier in present}
        names = None if handles is None else {handle.name for handle in handles}
        observations = []
        for item in listed:
            name = item["Names"][0].removeprefix("/") if item["Names"] else item["Id"]
            if names is None or name in names:
                unstarted = observe_listed(item, self._engine.dialect)
                seen = unstarted or self._remembered(item) or self._look(item["Id"])
                if seen is not None:
                    observations.append(seen)
        return observations

    def _remembered(self, item: Mapping[str, Any]) -> Observation | None:
        """What was seen of a listed container and cannot have changed: the list has no exit code and no times."""
        seen = self._seen.get(item["Id"])
        is_settled = seen is not None and seen.state is not ExecutionState.CREATED
        return (
            seen
            if is_settled and seen is not None and self._engine.dialect.states.get(item["State"]) is seen.state
            else None
        )

    def _look(self, container: str) -> Observation | None:
        try:
            seen = observe_container(self._inspect(container), self._engine.dialect)
        except ExecutionNotFoundError:
            return None
        if seen is None or seen.installation != self.installation:
            return None
        is_doubtful = seen.reason is None and seen.exit_code in self._engine.dialect.init_exit_codes
        if is_doubtful and (failure := self._init_failure(seen.handle)):
            seen = replace(seen, reason=Outcome.CONFIG_ERROR, error=failure, exit_code=_shells_code(seen, failure))
        self._seen[seen.handle.execution_id] = seen
        return seen

    def _init_failure(self, handle: Handle) -> str:
        """Why the init process could not run the job's program: its first words, and nobody else's exit code."""
        # They may come in pieces.
        first = b"".join(entry.data for entry in self.logs(handle, limit_bytes=INIT_MESSAGE_BYTES).entries)
        failure = self._engine.dialect.init_failure.match(first)
        return failure[1].decode(errors="replace") if failure else ""

    def ends(self) -> DockerEnds:
        return DockerEnds(self._engine, self.installation)

    def logs(self, handle: Handle, since: str = "", *, limit_bytes: int = 1 << 20) -> LogBatch:
        return read_logs(self._engine, handle.execution_id or handle.name, since, limit_bytes)

    def stop(self, handle: Handle, grace_seconds: float) -> None:
        """Waits until the execution has ended."""
        try:
            container = self._own_id(handle)
            with self._engine.calling(f"stop {handle.name}") as client:
                client.stop(container, timeout=math.ceil(grace_seconds))
        except ExecutionNotFoundError:
            return

    def remove(self, handle: Handle) -> None:
        try:
            container = self._own_id(handle)
            with self._engine.calling(f"remove {handle.name}") as client:
                client.remove_container(container, v=True)
        except ExecutionNotFoundError:
            return

    def discard(self, handle: Handle) -> None:
        try:
            found = self._inspect(handle.execution_id or handle.name)
            seen = observe_container(found, self._engine.dialect)
            if seen is None or seen.installation != self.installation:
                return
            if seen.state is not ExecutionState.CREATED:
                raise ExecutionRunningError(f"{handle.name} was started.")
            with self._engine.calling(f"remove {handle.name}") as client:
                client.remove_container(found["Id"], v=True)
        except ExecutionNotFoundError:
            return
        # A start that was on its way may have come first, and its program have ended: the engine removes that as well.
        if was_started(self._engine, found["Id"], found["Created"]):
            raise ExecutionRunningError(f"{handle.name} was started, has ended, and was removed.")

    def usage(self, handle: Handle) -> Usage:
        """
        While it runs: an engine keeps nothing of an ended one.

        The peak of memory is the kernel's where the engine passes it on (Docker on version 1 of cgroups), else
        what is used at this moment, without the page cache.
        """
        try:
            with self._engine.calling(f"measure {handle.name}") as client:
                stats = client.stats(handle.execution_id or handle.name, stream=False, one_shot=True)
        except ExecutionNotFoundError:
            return Usage()
        return measured(stats)

    def check(self) -> HostHealth:
        with self._engine.calling("tell its identity") as client:
            info = client.info()
        details = {
            "storage_driver": "Driver",
            "cgroup_version": "CgroupVersion",
            "cpus": "NCPU",
            "memory_bytes": "MemTotal",
        }
        return HostHealth(
            engine_id=self._engine.dialect.engine_id(info),
            version=info.get("ServerVersion", ""),
            details={name: str(info[key]) for name, key in details.items() if key in info},
        )

    def folders(self, name: str) -> Folders:
        return FOLDERS

    def put_files(self, spec: JobSpec, handle: Handle, files: Iterable[tuple[str, BinaryIO, int]]) -> None:
        container = self._own_id(handle)
        if spec.has_files:
            put_files(self._engine, container, files)
        if spec.secret_files:
            put_secrets(self._engine, container, spec.secret_files)

    def get_files(self, handle: Handle, paths: Iterable[str]) -> Iterator[tuple[str, BinaryIO, int]]:
        return get_files(self._engine, self._own_id(handle), paths)

    def close(self) -> None:
        self._engine.close()

    def _inspect(self, container: str) -> dict[str, Any]:
        with self._engine.calling(f"look at {container}") as client:
            found: dict[str, Any] = client.inspect_container(container)
        return found

    def _own_id(self, handle: Handle) -> str:
        """The container to act upon. One that only has our name is no execution of ours."""
        if handle.execution_id:
            return handle.execution_id
        seen = self._inspect(handle.name)
        labels = seen["Config"]["Labels"] or {}
        if labels.get(LABEL_INSTALLATION) != self.installation:
            raise ExecutionNotFoundError(f"There is no execution {handle.name} of this installation.")
        identifier: str = seen["Id"]
        return identifier


def _shells_code(seen: Observation, failure: str) -> int | None:
    if seen.exit_code in CANNOT_RUN:
        return seen.exit_code
    return NOT_FOUND if "No such file" in failure else NOT_EXECUTABLE


class PodmanExecutor(DockerExecutor):
    """The same for Podman, through the socket of ``podman system service``."""

    options_class: ClassVar[type[DockerOptions]] = PodmanOptions
    likely_dialect: ClassVar[Dialect] = PODMAN
