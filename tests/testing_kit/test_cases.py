"""The kit in Django's own test cases, and under pytest where nothing but the package is installed."""

from __future__ import annotations

import tomllib
from importlib import import_module
from pathlib import Path

from django.core.files.base import ContentFile
from django.db import connection
from django.test import TestCase, TransactionTestCase

from container_manager import queue_manager
from container_manager.models import ContainerJob, ExecutorHost
from container_manager.testing import ContainerJobsMixin, Run
from tests.projects import ROOT, run_in_project
from tests.video.container_jobs import Transcode


class InATestCase(ContainerJobsMixin, TestCase):
    job: ContainerJob

    @classmethod
    def setUpTestData(cls) -> None:
        cls.job = queue_manager.create_and_queue(command="true", name="of the class")

    def test_a_job_runs_in_the_tests_transaction(self) -> None:
        Transcode.queue(video=ContentFile(b"x", name="x.mov"), height=480)
        self.container_jobs.script(Transcode, Run(result=1))
        self.container_jobs.assert_queued(Transcode, height=480)
        ran = self.container_jobs.run_all()
        assert [(job.name, job.result) for job in ran] == [("of the class", None), ("transcode", 1)]

    def test_the_next_test_knows_nothing_of_it(self) -> None:
        assert not ExecutorHost.objects.exists()
        assert self.container_jobs.run_all() == [self.job]


class InATransactionTestCase(ContainerJobsMixin, TransactionTestCase):
    def test_a_job_runs_and_is_committed(self) -> None:
        self.container_jobs.script(None, Run(exit_code=4))
        queue_manager.create_and_queue(command="true")
        assert [job.exit_code for job in self.container_jobs.run_all()] == [4]
        assert not connection.in_atomic_block
        assert ContainerJob.objects.get().exit_code == 4


TESTS = """
from container_manager import queue_manager

def test_a_job(container_jobs):
    queue_manager.create_and_queue(command="true")
    (job,) = container_jobs.run_all()
    assert job.status == "completed"
"""
UNITTESTS = """
from django.test import TestCase
from container_manager import queue_manager
from container_manager.testing import ContainerJobsMixin

class Tests(ContainerJobsMixin, TestCase):
    def test_a_job(self):
        queue_manager.create_and_queue(command="true")
        (job,) = self.container_jobs.run_all()
        self.assertEqual(job.status, "completed")
"""


def test_the_plugin_gives_a_project_its_fixture_before_django_is_set_up(tmp_path: Path) -> None:
    plugin = "container_manager.testing.plugin"
    said = run_in_project(tmp_path, {"test_jobs.py": TESTS}, "pytest", "-q", "-p", plugin)
    assert "1 passed" in said


def test_djangos_own_runner_needs_no_pytest(tmp_path: Path) -> None:
    assert "Ran 1 test" in run_in_project(tmp_path, {"test_jobs.py": UNITTESTS}, "django", "test")


def test_the_entry_point_names_the_plugin() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    ((name, module),) = project["entry-points"]["pytest11"].items()
    assert name == module
    assert hasattr(import_module(module), "pytest_configure")
