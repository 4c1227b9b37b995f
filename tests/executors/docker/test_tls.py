"""A real engine over TLS that asks for its clients' certificates."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from container_manager.exceptions import ExecutorUnavailableError
from container_manager.executors.docker import DockerExecutor
from container_manager.specs import ExecutionState, Handle
from tests.executors.docker.certificates import Authority
from tests.executors.docker.running import collect_sockets, docker_executor, output, run, shell, wait_for_end
from tests.faults.private_dockerd import PrivateDockerd
from tests.services import require_service

pytestmark = [
    pytest.mark.docker,
    # The SDK leaves a socket to the garbage collector when it cannot connect.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@dataclass(frozen=True)
class TlsEngine:
    port: int
    ours: Authority
    others: Authority

    def options(self, *, address: str = "127.0.0.1", **tls: Any) -> dict[str, Any]:
        return {"base_url": f"tcp://{address}:{self.port}", "tls": tls}

    def right(self) -> dict[str, Any]:
        ca, certificate, key = (self.ours.path(name) for name in ("ca.pem", "client.pem", "client.key"))
        return {"ca_cert": ca, "client_cert": certificate, "client_key": key}


@pytest.fixture(scope="module")
def tls_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsEngine]:
    require_service("docker")
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificates, and is not installed")
    folder: Path = tmp_path_factory.mktemp("tls")
    ours, others = Authority(folder / "ours"), Authority(folder / "others")
    server = tuple(ours.path(name) for name in ("ca.pem", "server.pem", "server.key"))
    with PrivateDockerd(tls=server) as engine:
        yield TlsEngine(engine.tls_port, ours, others)


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    yield
    collect_sockets()


def refusal(options: dict[str, Any]) -> str:
    """What ``check`` says of an engine that cannot be reached so."""
    executor = DockerExecutor({"timeout": 60, **options}, installation="tls")
    try:
        with pytest.raises(ExecutorUnavailableError) as refused:
            executor.check()
    finally:
        executor.close()
    assert refused.value.transient
    return str(refused.value)


def test_a_job_runs_and_is_followed_over_tls(tls_engine: TlsEngine) -> None:
    with docker_executor(tls_engine.options(**tls_engine.right())) as executor:
        assert executor.check().engine_id
        seen = run(executor, shell(executor, "echo out; echo error >&2; exit 3"))
        assert (seen.state, seen.exit_code) == (ExecutionState.EXITED, 3)
        assert output(executor, seen.handle) == {"stdout": b"out\n", "stderr": b"error\n"}

        long = executor.create(shell(executor, "sleep 600"))
        told: list[Handle] = []
        ends = executor.ends()
        listener = threading.Thread(target=lambda: told.extend(iter(ends)))
        listener.start()
        executor.start(long)
        assert executor.usage(long).memory_peak_bytes
        executor.stop(long, 0)
        wait_for_end(executor, long)
        executor.remove(long)
        ends.close()
        listener.join(timeout=60)
        assert not listener.is_alive()
        assert executor.observe([long]) == []


def test_an_engine_of_another_authority_is_not_trusted(tls_engine: TlsEngine) -> None:
    said = refusal(tls_engine.options(**{**tls_engine.right(), "ca_cert": tls_engine.others.path("ca.pem")}))
    assert "certificate" in said
    assert "'ca_cert'" in said


def test_an_engine_under_another_name_is_not_trusted(tls_engine: TlsEngine) -> None:
    assert "'localhost'" in refusal(tls_engine.options(address="localhost", **tls_engine.right()))


@pytest.mark.parametrize("has_foreign", [True, False], ids=["another authority's", "none"])
def test_a_worker_whose_certificate_the_engine_refuses_is_told_so(tls_engine: TlsEngine, has_foreign: bool) -> None:
    foreign = {"client_cert": tls_engine.others.path("client.pem"), "client_key": tls_engine.others.path("client.key")}
    tls = {"ca_cert": tls_engine.ours.path("ca.pem"), **(foreign if has_foreign else {})}
    assert "'client_cert'" in refusal(tls_engine.options(**tls))


def test_without_the_option_an_engine_over_tls_says_that_it_needs_it(tls_engine: TlsEngine) -> None:
    assert "'tls'" in refusal({"base_url": f"tcp://127.0.0.1:{tls_engine.port}"})


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
def test_verification_can_be_given_up(tls_engine: TlsEngine) -> None:
    tls = {name: value for name, value in tls_engine.right().items() if name != "ca_cert"}
    with docker_executor(tls_engine.options(address="localhost", verify=False, **tls)) as executor:
        assert executor.check().engine_id
