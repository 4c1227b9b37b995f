"""
The page about S3, with local folders in place of the buckets, and with django-storages where that is installed.

It is not among the development requirements: botocore needs python-dateutil before 3, kubernetes needs 3.
In an environment of its own, ``pip install 'moto[s3]' flask flask-cors 'django-storages[s3]'``, with the rest of
requirements/dev.txt: ``pytest tests/cookbook/test_s3.py`` runs both.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.test import RequestFactory

from container_manager.exceptions import JobValidationError
from container_manager.models import ExecutorHost
from container_manager.states import Status
from tests.cookbook.pages import blocks_of, names_of

PAGE: Final = "s3.md"
BUCKETS: Final = ("orders", "reports")
SERVER: Final = """
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
server.start()
print("%s:%s" % server.get_host_and_port(), flush=True)
input()
"""
has_s3 = find_spec("storages") is not None and find_spec("moto") is not None and find_spec("boto3") is not None
needs_s3 = pytest.mark.skipif(not has_s3, reason="django-storages and moto are not installed: see this module")

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def server() -> Iterator[str]:
    """The address of an S3 server of this test's own."""
    with subprocess.Popen(
        [sys.executable, "-c", SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        yield f"http://{process.stdout.readline().strip()}"
        process.communicate("\n")


@pytest.fixture(params=["folders", pytest.param("s3", marks=needs_s3)])
def page(request: pytest.FixtureRequest, settings: Any, tmp_path: Path) -> dict[str, Any]:
    """The page's code, its storages being there."""
    configured, *code = blocks_of(PAGE)
    aliases: dict[str, Any] = names_of(PAGE, [configured])["STORAGES"]
    if request.param == "s3":
        access = {
            "endpoint_url": request.getfixturevalue("server"), "access_key": "x", "secret_key": "x",
            "region_name": "us-east-1",
        }  # fmt: skip
        for alias in BUCKETS:
            aliases[alias]["OPTIONS"] |= access
        settings.STORAGES = aliases
        for alias in BUCKETS:
            storage: Any = storages[alias]
            storage.connection.create_bucket(Bucket=storage.bucket_name)
    else:
        for alias in BUCKETS:
            assert aliases[alias]["BACKEND"] == "storages.backends.s3.S3Storage"
            folder = {"location": str(tmp_path / alias), "base_url": f"https://{alias}.example.com/"}
            aliases[alias] = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": folder}
        settings.STORAGES = aliases
    return names_of(PAGE, code)


def test_an_object_goes_in_and_another_comes_out(
    page: dict[str, Any], process_host: ExecutorHost, drain: Callable[[], object]
) -> None:
    storages["orders"].save("2026-05-01/orders.csv", ContentFile(b"b\na\nb\n"))
    job = page["start"](None, "2026-05-01")
    upload = page["Distinct"].queue(orders=ContentFile(b"y\nx\ny\n", name="mine.csv"))
    drain()

    for done, expected in ((job, b"a\nb\n"), (upload, b"x\ny\n")):
        done.refresh_from_db()
        assert (done.status, done.error) == (Status.COMPLETED, "")
        with done.files["distinct"].open() as distinct:
            assert distinct.read() == expected
        assert done.files["distinct"].storage == "reports"
    answer = page["download"](RequestFactory().get("/"), job)
    assert "/container_manager/outputs/" in answer.headers["Location"]
    assert upload.files["orders"].stored_name.startswith("container_manager/inputs/")
    upload.delete()
    job.delete()
    assert storages["orders"].exists("2026-05-01/orders.csv")
    assert not storages["orders"].exists(upload.file_plan["inputs"]["orders"]["name"])


def test_an_object_that_is_not_there_is_refused_when_queued(page: dict[str, Any]) -> None:
    with pytest.raises(JobValidationError, match=r"no file '1999-01-01/orders\.csv' in the storage 'orders'"):
        page["start"](None, "1999-01-01")


@needs_s3
def test_what_is_read_from_a_bucket_does_not_stay_in_memory(server: str) -> None:
    options = names_of(PAGE, blocks_of(PAGE)[:1])["STORAGES"]["orders"]["OPTIONS"]
    storage = import_module("storages.backends.s3").S3Storage(
        **options, endpoint_url=server, access_key="x", secret_key="x", region_name="us-east-1"
    )
    storage.connection.create_bucket(Bucket=storage.bucket_name)
    storage.save("large.bin", ContentFile(bytes(9 << 20)))
    with storage.open("large.bin") as large:
        assert large.file._rolled
