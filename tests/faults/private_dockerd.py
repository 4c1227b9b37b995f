"""A Docker engine of the test's own, that may be stopped, killed and started at will beside the shared one."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import pytest

from tests.executors.docker.running import ADDRESS, IMAGE
from tests.processes import wait_until
from tests.services import is_ci

OWN_NETWORK_NOTHING: Final = ("--bridge=none", "--iptables=false", "--ip6tables=false")
IN_ITS_OWN_NETWORK: Final = ("unshare", "--net")
"""An engine told to have no bridge deletes the ``docker0`` it finds: in the machine's network, another engine's."""

GIVEN_A_LISTENER: Final = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execvp(sys.argv[2], sys.argv[2:])
"""
"""As systemd hands a socket over: as the third descriptor, to the process of that id."""


class PrivateDockerd:
    """
    One engine with its own root, containerd and identity, and the image ``busybox:local``. Gone afterwards.

    Skips the test, or fails it with CI=true, where an engine cannot be run.
    """

    def __init__(self, *, live_restore: bool = False, tls: Sequence[str] = ()) -> None:
        """``tls``: paths of the CA, the certificate and the key with which it serves ``tls_port`` of 127.0.0.1 too."""
        self._folder = Path(tempfile.mkdtemp(prefix="cm-engine-"))
        self._flags = ["--live-restore"] if live_restore else []
        self._containerd: subprocess.Popen[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self.socket_path = str(self._folder / "sock")
        self.address = f"unix://{self.socket_path}"
        self._listener: socket.socket | None = None
        if tls:
            # Opened here and handed over: the engine's own network is out of reach.
            self._listener = socket.create_server(("127.0.0.1", 0))
            for flag, path in zip(("--tlscacert", "--tlscert", "--tlskey"), tls, strict=True):
                self._flags += [flag, path]
            self._flags += ["--tlsverify", "-H", "fd://"]

    def __enter__(self) -> Self:
        if os.getuid() != 0 or shutil.which("dockerd") is None or shutil.which("unshare") is None:
            self._refuse("an engine of one's own takes root, dockerd and unshare")
        with ExitStack() as undo:
            undo.callback(self._clean_up)
            self._give_identity()
            self._start_containerd()
            self.start()
            saved = subprocess.run(["docker", "-H", ADDRESS, "save", IMAGE], check=True, capture_output=True).stdout
            self._docker("load", stdin=saved)
            undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clean_up()

    def _clean_up(self) -> None:
        if self._process is not None and self._process.poll() is None:
            containers = self._docker("ps", "-aq").split()
            if containers:
                self._docker("rm", "-f", *containers)
        self.stop()
        if self._containerd is not None:
            self._containerd.terminate()
            self._containerd.wait(timeout=60)
        # After a kill the engine's own mount of its root may be left.
        subprocess.run(["umount", f"{self._folder}/data"], check=False, capture_output=True)
        shutil.rmtree(self._folder, ignore_errors=True)
        if self._listener is not None:
            self._listener.close()

    @property
    def tls_port(self) -> int:
        assert self._listener is not None
        port: int = self._listener.getsockname()[1]
        return port

    def start(self) -> None:
        """It answers."""
        arguments = [
            "--data-root", f"{self._folder}/data", "--exec-root", f"{self._folder}/run",
            "--pidfile", f"{self._folder}/pid", "--containerd", f"{self._folder}/containerd.sock",
            "-H", self.address, *OWN_NETWORK_NOTHING, *self._flags,
        ]  # fmt: skip
        command = [*IN_ITS_OWN_NETWORK, "dockerd", *arguments]
        descriptors = (self._listener.fileno(),) if self._listener else ()
        if descriptors:
            command = [sys.executable, "-c", GIVEN_A_LISTENER, str(descriptors[0]), *command]
        with open(self._folder / "log", "ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, pass_fds=descriptors)
        deadline = time.monotonic() + 120
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._refuse(f"the engine did not start: {(self._folder / 'log').read_text()[-500:]}")
            time.sleep(0.05)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """The engine's process has ended by that signal; its containerd stays, as a service of its own does."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        process.wait(timeout=60)
        (self._folder / "pid").unlink(missing_ok=True)

    def starts(self, installation: str) -> dict[str, str]:
        """The containers of ``installation`` that it has, by name, and in which state."""
        listed = self._docker("ps", "-a", "--format", "{{.Names}} {{.State}}")
        rows = (line.split(" ", 1) for line in listed.splitlines())
        return {name: state for name, state in rows if name.startswith(f"cm-{installation}-")}

    def _answers(self) -> bool:
        command = ["docker", "-H", self.address, "version"]
        return subprocess.run(command, check=False, capture_output=True, timeout=30).returncode == 0

    def _docker(self, *arguments: str, stdin: bytes | None = None) -> str:
        command = ["docker", "-H", self.address, *arguments]
        return subprocess.run(command, check=True, capture_output=True, input=stdin, timeout=60).stdout.decode()

    def _start_containerd(self) -> None:
        folder = self._folder
        configuration = folder / "containerd.toml"
        configuration.write_text(
            f'version = 2\nroot = "{folder}/c-root"\nstate = "{folder}/c-run"\n'
            f'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\n  address = "{folder}/containerd.sock"\n'
        )
        with open(folder / "log", "ab") as log:
            command = ["containerd", "--config", str(configuration)]
            self._containerd = subprocess.Popen(command, stdout=log, stderr=log)
        wait_until((folder / "containerd.sock").exists, what="the engine's containerd")

    def _give_identity(self) -> None:
        """Older engines take their identity from a file that all on a machine share by default."""
        told = subprocess.run(["dockerd", "--version"], check=True, capture_output=True, text=True).stdout
        version = re.search(r"version (\d+)\.", told)
        configuration = self._folder / "daemon.json"
        own_key = {"deprecated-key-path": f"{self._folder}/key.json"}
        configuration.write_text(json.dumps(own_key if version and int(version[1]) < 23 else {}))
        self._flags.append(f"--config-file={configuration}")

    def _refuse(self, reason: str) -> None:
        if is_ci():
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
