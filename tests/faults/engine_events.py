"""The engine's own account of what it started."""

from __future__ import annotations

import subprocess
import tempfile
from collections import Counter
from types import TracebackType
from typing import Self

from tests.executors.docker.running import ADDRESS


class EngineEvents:
    """
    Records every start of a container of Docker or Podman, from a stream opened before the first.

    Docker's command-line client does the listening: a process of its own, which keeps up.
    """

    def __init__(self, address: str = ADDRESS) -> None:
        self.address = address

    def __enter__(self) -> Self:
        self._file = tempfile.NamedTemporaryFile("r")
        command = ["docker", "-H", self.address, "events", "--filter", "event=start"]
        with open(self._file.name, "w") as output:
            self._process = subprocess.Popen(
                [*command, "--format", "{{.TimeNano}} {{.Actor.Attributes.name}}"],
                stdout=output,
                stderr=subprocess.DEVNULL,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._file.close()

    def starts(self, installation: str) -> Counter[str]:
        """How often each container of ``installation`` was started, by its name."""
        self._file.seek(0)
        # Podman tells of one start twice now and then, with the same time to the nanosecond.
        whole = {line for line in self._file if line.endswith("\n")}
        names = (line.split()[1] for line in whole)
        return Counter(name for name in names if name.startswith(f"cm-{installation}-"))
