"""A Podman service of the test's own, with a storage of its own: another engine than the shared one."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

import docker
import pytest
from docker.errors import DockerException

from tests.processes import wait_until
from tests.services import is_ci


class PrivatePodman:
    """
    One service with an empty storage. Gone afterwards.

    Skips the test, or fails it with CI=true, where it cannot be run.
    """

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="cm-podman-"))
        self._process: subprocess.Popen[bytes] | None = None
        self.socket_path = str(self._folder / "sock")

    def __enter__(self) -> Self:
        if os.getuid() != 0 or shutil.which("podman") is None:
            self._refuse("a Podman of one's own takes root and podman")
        folder = self._folder
        command = [
            "podman", "--root", f"{folder}/root", "--runroot", f"{folder}/run", "--tmpdir", f"{folder}/own",
            "system", "service", "--time=0", f"unix://{self.socket_path}",
        ]  # fmt: skip
        with open(folder / "log", "wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            wait_until(self._answers, what="the private Podman's answer")
        except BaseException:
            self._clean_up()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clean_up()

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            self._refuse(f"the Podman service did not start: {(self._folder / 'log').read_text()[-500:]}")
        if not Path(self.socket_path).exists():
            return False
        try:
            client = docker.APIClient(base_url=f"unix://{self.socket_path}", timeout=5)
        except DockerException:
            return False
        client.close()
        return True

    def _clean_up(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(timeout=60)
        # Its storage mounts a folder on itself.
        subprocess.run(["umount", f"{self._folder}/root/overlay"], check=False, capture_output=True)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _refuse(self, why: str) -> None:
        if is_ci():
            pytest.fail(f"{why}; with CI=true it must", pytrace=False)
        pytest.skip(why)
