"""Images pulled from registries: one pull an image at a time, its errors read, its time bounded."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Final

from docker.auth import resolve_repository_name
from docker.errors import APIError, InvalidRepository
from docker.utils import parse_repository_tag
from requests import RequestException, Response

from container_manager.exceptions import ImagePullError, SpecificationError
from container_manager.executors.docker.client import Engine, stream
from container_manager.executors.docker.credentials import registry_header
from container_manager.executors.docker.errors import is_timeout, pull_error
from container_manager.specs import PullProgress

logger = logging.getLogger(__name__)

PROGRESS_SECONDS: Final = 10.0
"""How often progress is reported at most."""


@dataclass(slots=True)
class _Layers:
    states: dict[str, tuple[bool, int, int]] = field(default_factory=dict)

    def note(self, message: dict[str, Any]) -> None:
        layer, status = message.get("id"), message.get("status", "")
        detail = message.get("progressDetail")
        if not layer or detail is None:
            return
        _, current, total = self.states.get(layer, (False, 0, 0))
        if status == "Downloading":
            current, total = detail.get("current") or current, detail.get("total") or total
        elif status in ("Download complete", "Pull complete"):
            current = total
        self.states[layer] = (status in ("Pull complete", "Already exists"), current, total)

    def progress(self, image: str) -> PullProgress:
        states = self.states.values()
        return PullProgress(
            image=image,
            layers_done=sum(done for done, _, _ in states),
            layers=len(states),
            bytes_done=sum(current for _, current, _ in states),
            bytes_total=sum(total for _, _, total in states),
        )


class ImagePuller:
    """
    Pulls images for any number of threads.

    ``inactivity_seconds`` bounds the silence between two messages of the engine, ``total_seconds`` the whole pull,
    looked at with each message. ``registries``: the credentials that the host's options give.
    """

    def __init__(
        self,
        engine: Engine,
        registries: Mapping[str, Mapping[str, str]],
        *,
        inactivity_seconds: float = 120.0,
        total_seconds: float = 600.0,
    ) -> None:
        self._engine, self._registries = engine, registries
        self._inactivity_seconds = inactivity_seconds
        self._total_seconds = total_seconds
        self._running: dict[str, Future[None]] = {}
        self._lock = threading.Lock()

    def pull(self, image: str, on_progress: Callable[[PullProgress], None] | None = None) -> None:
        """
        The engine has ``image`` as its registry has it now. Waits for a pull of it that another thread began.

        ``ImageNotFoundError``, ``ImagePullError``, ``SpecificationError`` for what is no image name, ``SecretError``,
        or ``ExecutorUnavailableError``.
        """
        with self._lock:
            running = self._running.get(image)
            mine: Future[None] = Future()
            if running is None:
                self._running[image] = mine
        if running is not None:
            self._wait(running, image)
            return
        try:
            self._pull(image, on_progress)
        except BaseException as error:
            mine.set_exception(error)
            raise
        else:
            mine.set_result(None)
        finally:
            with self._lock:
                del self._running[image]

    def _wait(self, running: Future[None], image: str) -> None:
        try:
            running.result(self._total_seconds + self._inactivity_seconds)
        except TimeoutError as error:
            raise ImagePullError(f"Another pull of the image {image} has not ended in time.") from error

    def _pull(self, image: str, on_progress: Callable[[PullProgress], None] | None) -> None:
        repository, tag = parse_repository_tag(image)
        try:
            registry, _ = resolve_repository_name(repository)
        except InvalidRepository as error:
            raise SpecificationError(f"{image!r} is not the name of an image: {error}") from error
        # Without a tag the engine would pull all of them.
        params = {"fromImage": repository, "tag": tag or "latest"}
        headers = registry_header(registry, self._registries)
        with self._engine.calling(f"pull {image}") as client:
            try:
                with stream(
                    client, "POST", "/images/create", params, read_timeout=self._inactivity_seconds, headers=headers
                ) as response:
                    self._follow(response, image, registry, on_progress)
            except APIError as error:
                if error.status_code == 400:
                    raise
                raise pull_error(image, registry, error.explanation or str(error)) from error
            except RequestException as error:
                if not is_timeout(error):
                    raise
                silence = f"no progress for {self._inactivity_seconds:g} s"
                raise ImagePullError(f"The image {image} could not be pulled from {registry}: {silence}.") from error

    def _follow(
        self, response: Response, image: str, registry: str, on_progress: Callable[[PullProgress], None] | None
    ) -> None:
        deadline = time.monotonic() + self._total_seconds
        next_report = 0.0
        layers = _Layers()
        for message in _messages(response):
            if "error" in message:
                raise pull_error(image, registry, str(message["error"]))
            layers.note(message)
            now = time.monotonic()
            if now > deadline:
                limit = f"not done after {self._total_seconds:g} s"
                raise ImagePullError(f"The image {image} could not be pulled from {registry}: {limit}.")
            if now >= next_report:
                next_report = now + PROGRESS_SECONDS
                _report(on_progress, layers.progress(image))
        _report(on_progress, layers.progress(image))


def _messages(response: Response) -> Iterator[dict[str, Any]]:
    for line in response.iter_lines():
        if line:
            yield json.loads(line)


def _report(on_progress: Callable[[PullProgress], None] | None, progress: PullProgress) -> None:
    if on_progress is None:
        return
    try:
        on_progress(progress)
    except Exception:
        # The listener's trouble is not the pull's.
        logger.exception("A listener to the progress of pulls failed", extra={"image": progress.image})
