"""What was queued is found by its definition, its parameters and a few columns."""

from __future__ import annotations

import pytest
from django.core.files.base import ContentFile

from container_manager import queue_manager
from container_manager.exceptions import ConfigurationError, QueueError
from container_manager.testing import ContainerJobs
from tests.video.container_jobs import MakeThumbnail, Transcode
from tests.video.models import Upload

pytestmark = pytest.mark.django_db


def test_a_queued_job_is_found_by_its_parameters(container_jobs: ContainerJobs) -> None:
    first = Transcode.queue(video=ContentFile(b"x", name="x.mov"), height=480, tenant="acme")
    second = Transcode.queue(video=ContentFile(b"x", name="x.mov"), height=720, priority=80)
    other = MakeThumbnail.queue(width=100)
    assert container_jobs.queued() == [second, first, other]
    assert container_jobs.queued(Transcode) == [second, first]
    assert container_jobs.queued("make_thumbnail", width="100", title="") == [other]
    assert container_jobs.assert_queued(Transcode, height=480) == first
    assert container_jobs.assert_queued(Transcode, priority=80, height=720) == second
    assert container_jobs.queued(tenant="acme") == [first]
    container_jobs.assert_not_queued(Transcode, height=360)
    container_jobs.assert_not_queued(Transcode, height=480, tenant="umbra")


def test_a_failed_assertion_says_what_there_is(container_jobs: ContainerJobs) -> None:
    with pytest.raises(
        AssertionError, match=r"No job transcode\(height=480\) is in the queue. There is no job of this"
    ):
        container_jobs.assert_queued(Transcode, height=480)
    MakeThumbnail.queue(width=100, priority=7)
    with pytest.raises(AssertionError, match=r"(?s)make_thumbnail\(width=99\).*queued, priority 7, .*'width': 100"):
        container_jobs.assert_queued(MakeThumbnail, width=99)
    with pytest.raises(AssertionError, match=r"A job make_thumbnail\(\) is in the queue"):
        container_jobs.assert_not_queued(MakeThumbnail)
    container_jobs.run_all()
    with pytest.raises(AssertionError, match="completed, priority 7"):
        container_jobs.assert_queued(MakeThumbnail, width=100)


def test_a_file_in_a_storage_can_be_asked_for(container_jobs: ContainerJobs) -> None:
    mine, other = (Upload.objects.create(file=ContentFile(b"x", name=name)) for name in ("a.mov", "b.mov"))
    job = Transcode.queue(video=mine.file)
    assert container_jobs.assert_queued(Transcode, video=mine.file) == job
    container_jobs.assert_not_queued(Transcode, video=other.file)
    with pytest.raises(ConfigurationError, match=r"found in job\.files"):
        container_jobs.queued(Transcode, video=ContentFile(b"x", name="a.mov"))


def test_a_misspelt_question_is_an_error_and_no_answer(container_jobs: ContainerJobs) -> None:
    with pytest.raises(ConfigurationError, match="transcode has no parameter 'hieght'; known: video, height"):
        container_jobs.assert_not_queued(Transcode, hieght=480)
    with pytest.raises(ConfigurationError, match="name the definition too"):
        container_jobs.queued(height=480)
    with pytest.raises(QueueError, match="no job definition 'transcoder'"):
        container_jobs.queued("transcoder")


def test_what_was_taken_out_is_not_queued(container_jobs: ContainerJobs) -> None:
    queue_manager.dequeue_job(MakeThumbnail.queue(width=100))
    container_jobs.assert_not_queued(MakeThumbnail)
