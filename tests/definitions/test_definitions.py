"""Job definitions: what their classes make of themselves, of parameters and of jobs."""

from __future__ import annotations

import datetime
from typing import Any, ClassVar

import pytest
from django import forms
from django.contrib.auth.models import Group
from django.db import connection, transaction
from django.utils import timezone

from container_manager import queue_manager, registry
from container_manager.definitions import JobDefinition, all_definitions, find
from container_manager.definitions.declaring import DefinitionType
from container_manager.exceptions import ConfigurationError, DefinitionNotFoundError, JobValidationError
from container_manager.models import ContainerJob
from container_manager.states import Status
from tests.video.container_jobs import MakeThumbnail

pytestmark = pytest.mark.django_db


def problems(**parameters: Any) -> dict[str, list[str]]:
    """What is wrong with them, by parameter; no job was made."""
    before = ContainerJob.objects.count()
    with pytest.raises(JobValidationError) as refused:
        MakeThumbnail.queue(**parameters)
    assert ContainerJob.objects.count() == before
    return refused.value.message_dict


def test_a_definition_is_found_in_an_installed_app_by_its_name_in_snake_case() -> None:
    assert find("make_thumbnail") is MakeThumbnail
    assert all_definitions()["make_thumbnail"] is MakeThumbnail


def test_an_unknown_definition_is_an_error_that_names_the_nearest() -> None:
    with pytest.raises(DefinitionNotFoundError, match="Did you mean 'make_thumbnail'"):
        find("make_thumbnails")


def test_a_queued_job_has_the_definitions_options_and_its_parameters() -> None:
    job = MakeThumbnail.queue(width=640, title="A b", priority=80)

    row = ContainerJob.objects.get(pk=job.pk)
    assert (row.status, row.priority) == (Status.QUEUED, 80)
    assert (row.name, row.definition) == ("make_thumbnail", "make_thumbnail")
    assert row.parameters == {"width": 640, "height": 720, "title": "A b"}
    assert (row.queue, row.memory_limit, row.timeout_seconds, row.network) == ("media", 64, 600, "none")
    assert row.labels == {"team": "video"}
    assert row.command == ["printf", "%s\\n", "640x720", "--title=A b", "{height}"]
    assert row.environment == {"TITLE": "<A b>", "MODE": "fast"}


def test_two_steps_make_the_same_job_and_let_it_be_changed_between() -> None:
    job = MakeThumbnail.build(width=640, name="cover", tenant="acme")
    assert job._state.adding
    job.memory_limit = 128
    at = timezone.now() + datetime.timedelta(hours=1)

    queue_manager.queue_job(job, schedule_for=at)

    row = ContainerJob.objects.get(pk=job.pk)
    assert (row.name, row.tenant, row.memory_limit, row.scheduled_for) == ("cover", "acme", 128, at)


def test_queueing_joins_the_callers_transaction() -> None:
    with transaction.atomic():
        MakeThumbnail.queue(width=640)
        transaction.set_rollback(True)

    assert not ContainerJob.objects.exists()


def test_queueing_is_one_look_at_the_hosts_and_one_insert(django_assert_num_queries: Any) -> None:
    MakeThumbnail.queue(width=640)
    # The look, since it has limits that a host may not allow. PostgreSQL writes the job and its event in one
    # statement; elsewhere: savepoint, the job, its event, release.
    with django_assert_num_queries(2 if connection.vendor == "postgresql" else 5):
        MakeThumbnail.queue(width=640)


def test_every_wrong_parameter_has_an_error_of_its_own() -> None:
    found = problems(width="wide", height=5000, titel="x")

    assert set(found) == {"width", "height", "titel"}
    assert "whole number" in found["width"][0]
    assert "2160" in found["height"][0]
    assert "Did you mean 'title'" in found["titel"][0]


def test_a_parameter_without_a_default_must_be_given() -> None:
    assert problems() == {"width": ["This field is required."]}


def test_parameters_are_judged_together_too() -> None:
    assert problems(width=16, height=2000) == {"width": ["That is too narrow for its height."]}


def test_text_becomes_a_value_so_that_a_command_line_can_give_it() -> None:
    assert MakeThumbnail.build(width="640", height="480").parameters == {"width": 640, "height": 480, "title": ""}


def test_a_value_fills_one_argument_whatever_it_holds() -> None:
    hostile = "'; rm -rf / $(id) {width} {{height}} \""

    job = MakeThumbnail.build(width=640, title=hostile)

    assert job.command[3] == f"--title={hostile}"
    assert len(job.command) == 5


def test_a_command_in_one_string_is_split_before_it_is_filled() -> None:
    class Say(JobDefinition):
        command = "echo 'to {who}' {who}"
        who = forms.CharField()

    assert Say.build(who="a b").command == ["echo", "to a b", "a b"]


def test_values_of_every_kind_are_kept_so_that_they_are_accepted_again() -> None:
    class Every(JobDefinition):
        command = ["echo", "{day}", "{is_final}", "{group}", "{tags}", "{pause}", "{ratio}", "{nothing}"]
        day = forms.DateField()
        is_final = forms.BooleanField(required=False)
        group = forms.ModelChoiceField(Group.objects.all())
        tags = forms.MultipleChoiceField(choices=[("a", "A"), ("b", "B")])
        pause = forms.DurationField()
        ratio = forms.DecimalField()
        nothing = forms.IntegerField(required=False)

    group = Group.objects.create(name="editors")
    job = Every.queue(
        day=datetime.date(2030, 1, 31), is_final=True, group=group, tags=["a", "b"],
        pause=datetime.timedelta(minutes=5), ratio="1.50",
    )  # fmt: skip

    assert job.command == ["echo", "2030-01-31", "true", str(group.pk), "a,b", "00:05:00", "1.50", ""]
    stored = ContainerJob.objects.get(pk=job.pk).parameters
    again = Every.build(**stored)
    assert (again.command, again.parameters) == (job.command, stored)


def test_definitions_inherit_options_and_parameters_one_by_one() -> None:
    class Media(JobDefinition):
        abstract = True
        image, memory_limit = "busybox:local", 64
        queue: ClassVar[Any] = "media"
        quality = forms.IntegerField(initial=5)

    class Probe(Media):
        command = ["probe", "{quality}"]
        memory_limit = 128
        quality = forms.IntegerField(initial=9)

    assert not registry.is_known("media")
    job = Probe.build()
    assert (job.image, job.queue, job.memory_limit, job.command) == ("busybox:local", "media", 128, ["probe", "9"])


def test_a_jobs_own_changes_do_not_reach_the_definition() -> None:
    MakeThumbnail.build(width=640).labels["team"] = "other"
    assert MakeThumbnail.build(width=640).labels == {"team": "video"}


def test_the_form_judges_what_a_browser_sends_and_feeds_the_queue() -> None:
    wrong = MakeThumbnail.form({"width": "16", "height": "2000"})
    assert not wrong.is_valid()
    assert wrong.errors == {"width": ["That is too narrow for its height."]}

    form = MakeThumbnail.form({"width": "640", "height": "480", "title": "x"})
    assert form.is_valid()
    assert MakeThumbnail.queue(**form.cleaned_data).parameters == {"width": 640, "height": 480, "title": "x"}


def test_options_that_no_job_can_have_are_refused_when_queued() -> None:
    class Wrong(JobDefinition):
        command = ["true"]
        memory_limit = -1

    with pytest.raises(JobValidationError) as refused:
        Wrong.queue()
    assert set(refused.value.message_dict) == {"memory_limit"}
    assert not ContainerJob.objects.exists()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"command": ["echo", "{heigth}"]}, r"\{heigth\} is not a parameter; parameters are: height"),
        ({"environment": {"SIZE": "{size}"}}, r"\{size\} is not a parameter"),
        ({"command": "echo 'x"}, "Close the quotes"),
        ({"command": "echo {height}", "shell": True}, "A shell would read"),
        ({"memmory_limit": 3}, "Did you mean 'memory_limit'"),
        ({"name": "no name"}, "is not a name"),
        ({"priority": forms.IntegerField()}, "priority"),
        ({"tenant": forms.CharField()}, "cannot be called 'tenant'"),
        ({"environment": {"A": 3}}, "is not a string"),
    ],
)
def test_a_definition_that_is_wrong_cannot_be_made(body: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        DefinitionType("Wrong", (JobDefinition,), {"command": ["true"], "height": forms.IntegerField(), **body})
    assert not registry.is_known("wrong")


def test_two_definitions_cannot_share_a_name() -> None:
    with pytest.raises(ConfigurationError, match=r"Two job definitions have the name 'make_thumbnail'"):

        class MakeThumbnail(JobDefinition):
            command = ["true"]
