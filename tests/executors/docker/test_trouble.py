"""An engine that is not there, hangs or is the wrong thing: typed, bounded in time, and saying what to do."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from container_manager.exceptions import ExecutorUnavailableError
from container_manager.executors.docker import DockerExecutor
from container_manager.specs import Handle
from tests.executors.docker.running import ADDRESS, collect_sockets, run, shell, spec

# The SDK leaves a socket to the garbage collector when it cannot connect.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
HANDLE = Handle("cm-trouble-1", "0" * 64)
CALLS: dict[str, Callable[[DockerExecutor], object]] = {
    "create": lambda executor: executor.create(spec(executor)),
    "start": lambda executor: executor.start(HANDLE),
    "observe": lambda executor: executor.observe(),
    "observe one": lambda executor: executor.observe([HANDLE]),
    "logs": lambda executor: executor.logs(HANDLE),
    "stop": lambda executor: executor.stop(HANDLE, 0),
    "remove": lambda executor: executor.remove(HANDLE),
    "usage": lambda executor: executor.usage(HANDLE),
    "check": lambda executor: executor.check(),
}


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    yield
    collect_sockets()


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[str]:
    """The address of a socket that accepts and never answers."""
    path = tmp_path / "silent.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen(16)
        yield f"unix://{path}"


@pytest.mark.parametrize("call", CALLS)
def test_an_engine_that_is_not_there_is_unavailable_to_every_call(call: str, tmp_path: Path) -> None:
    executor = DockerExecutor({"base_url": f"unix://{tmp_path}/none.sock"}, installation="trouble")
    with pytest.raises(ExecutorUnavailableError, match="Is the engine running") as refusal:
        CALLS[call](executor)
    assert refusal.value.transient
    assert f"{tmp_path}/none.sock" in str(refusal.value)


def test_a_refused_connection_is_not_told_as_a_timeout() -> None:
    executor = DockerExecutor({"base_url": "tcp://127.0.0.1:1"}, installation="trouble")
    with pytest.raises(ExecutorUnavailableError, match="nothing listens there"):
        executor.check()


@pytest.mark.parametrize("call", CALLS)
def test_an_engine_that_hangs_ends_every_call_by_the_timeout(call: str, silent: str) -> None:
    executor = DockerExecutor({"base_url": silent, "timeout": 1}, installation="trouble")
    began = time.monotonic()
    with pytest.raises(ExecutorUnavailableError, match="'timeout'"):
        CALLS[call](executor)
    assert time.monotonic() - began < 5


def test_something_that_is_no_engine_is_unavailable() -> None:
    class Greeting(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"hello")

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Greeting) as server:
        threading.Thread(target=server.serve_forever).start()
        executor = DockerExecutor({"base_url": f"tcp://127.0.0.1:{server.server_port}"}, installation="trouble")
        try:
            with pytest.raises(ExecutorUnavailableError):
                executor.check()
        finally:
            server.shutdown()


def test_tls_files_that_do_not_exist_are_named() -> None:
    tls = {"ca_cert": "/nowhere/ca.pem"}
    executor = DockerExecutor({"base_url": "tcp://127.0.0.1:1", "tls": tls}, installation="trouble")
    with pytest.raises(ExecutorUnavailableError, match="CA certificate"):
        executor.check()


@pytest.mark.docker
def test_an_executor_recovers_when_its_engine_comes_back(tmp_path: Path) -> None:
    if not ADDRESS.startswith("unix://"):
        pytest.skip("the engine has no local socket")
    link = tmp_path / "engine.sock"
    executor = DockerExecutor({"base_url": f"unix://{link}"}, installation="trouble")
    with pytest.raises(ExecutorUnavailableError):
        executor.check()
    link.symlink_to(ADDRESS.removeprefix("unix://"))
    assert executor.check().engine_id
    executor.close()
    assert executor.observe() == []


@pytest.mark.docker
def test_the_engine_tells_its_identity(executor: DockerExecutor) -> None:
    health = executor.check()
    assert health == executor.check()
    assert health.engine_id
    assert health.version


@pytest.mark.docker
def test_a_running_execution_has_a_usage_and_an_ended_one_none(executor: DockerExecutor) -> None:
    handle = executor.create(shell(executor, "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo ready; sleep 60"))
    executor.start(handle)
    deadline = time.monotonic() + 30
    while not executor.logs(handle).entries and time.monotonic() < deadline:
        time.sleep(0.05)
    usage = executor.usage(handle)
    assert usage.cpu_seconds is not None
    assert usage.cpu_seconds > 0
    assert usage.memory_peak_bytes is not None
    assert usage.memory_peak_bytes > 50_000
    executor.stop(handle, 0)
    after = executor.usage(handle)
    assert (after.memory_peak_bytes, after.cpu_seconds) == (None, None)


@pytest.mark.docker
def test_a_stop_is_a_request_first_and_forced_after_the_grace(executor: DockerExecutor) -> None:
    polite = executor.create(shell(executor, "trap 'echo bye; exit 5' TERM; echo ready; while :; do sleep 0.1; done"))
    stubborn = executor.create(shell(executor, "trap '' TERM; echo ready; while :; do sleep 0.1; done"))
    for handle in (polite, stubborn):
        executor.start(handle)
        while not executor.logs(handle).entries:
            time.sleep(0.05)
    executor.stop(polite, 20)
    assert executor.observe([polite])[0].exit_code == 5
    began = time.monotonic()
    executor.stop(stubborn, 1)
    assert 0.9 < time.monotonic() - began < 10
    assert executor.observe([stubborn])[0].exit_code == 137
    executor.stop(stubborn, 1)


@pytest.mark.docker
def test_a_used_connection_survives_many_threads(executor: DockerExecutor) -> None:
    failures: list[BaseException] = []

    def work() -> None:
        try:
            assert run(executor, shell(executor, "exit 4")).exit_code == 4
        except BaseException as error:  # noqa: BLE001  # told by the assertion below
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
