"""Hosts in the admin: tested, drained, resumed, and checked before they are saved."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from django.test import Client

from container_manager.executors import Executor, executor_class
from container_manager.executors.fake import FakeExecutor, engine
from container_manager.models import ExecutorHost

HOSTS = "/admin/container_manager/executorhost/"
pytestmark = pytest.mark.django_db


def make_host(**values: object) -> ExecutorHost:
    return ExecutorHost.objects.create(
        **{"name": "one", "executor_type": "fake", "options": {"engine": "admin"}, **values}
    )


def act(client: Client, host: ExecutorHost, name: str) -> str:
    return client.post(f"{HOSTS}{host.pk}/act/{name}/", follow=True).content.decode()


def test_a_host_is_drained_and_resumed(boss: Client) -> None:
    host = make_host()
    assert "takes no new jobs" in act(boss, host, "drain")
    host.refresh_from_db()
    assert not host.is_active
    assert "Drained" in boss.get(HOSTS).content.decode()
    act(boss, host, "resume")
    host.refresh_from_db()
    assert host.is_active


def test_the_list_shows_what_stands_and_is_acted_on_in_place(boss: Client, client_of: Callable[..., Client]) -> None:
    host = make_host(health_error="connection refused", queues=["default", "media"], cpu_capacity=8)
    answer = boss.post(f"{HOSTS}{host.pk}/act/drain/", {"to_list": "1"})
    assert answer["Location"] == HOSTS
    page = boss.get(HOSTS).content.decode()
    for expected in ("connection refused", "default, media", "0/10", "0/8", "Down", "cm-resume"):
        assert expected in page
    reader = client_of("view_executorhost").get(HOSTS).content.decode()
    assert "cm-resume" not in reader
    assert "Add a host" not in reader


def test_a_test_of_the_connection_says_what_the_engine_answered(boss: Client) -> None:
    host = make_host()
    assert "fake-admin" in act(boss, host, "test")
    engine("admin").is_reachable = False
    try:
        assert "was made unreachable" in act(boss, host, "test")
    finally:
        engine("admin").is_reachable = True


def test_another_engine_than_the_host_s_own_is_not_called_well(boss: Client) -> None:
    assert "Another engine answers" in act(boss, make_host(engine_id="fake-other"), "test")


@pytest.mark.parametrize("name", ["test", "drain", "resume"])
def test_who_may_only_look_gets_403_and_changes_nothing(client_of: Callable[..., Client], name: str) -> None:
    host = make_host(is_active=name != "resume")
    client = client_of("view_executorhost")
    page = client.get(f"{HOSTS}{host.pk}/change/").content.decode()
    assert "Test connection" not in page
    assert client.post(f"{HOSTS}{host.pk}/act/{name}/").status_code == 403
    before, after = host.is_active, ExecutorHost.objects.get(pk=host.pk).is_active
    assert before == after


def test_an_action_needs_a_post_and_a_known_name(boss: Client) -> None:
    host = make_host()
    assert boss.get(f"{HOSTS}{host.pk}/act/drain/").status_code == 405
    assert boss.post(f"{HOSTS}{host.pk}/act/explode/").status_code == 404


VALUES = {
    "name": "two", "executor_type": "fake", "option_engine": "admin", "queues": "default, reports", "is_active": "on",
    "weight": "100", "max_concurrent_jobs": "3",
}  # fmt: skip


@pytest.fixture
def unreachable() -> Iterator[None]:
    engine("admin").is_reachable = False
    yield
    engine("admin").is_reachable = True


def test_a_new_host_is_saved_when_its_engine_answers_with_the_options_that_are_not_as_they_are_anyway(
    boss: Client,
) -> None:
    assert boss.post(f"{HOSTS}add/", {**VALUES, "option_max_input_size": "5"}).status_code == 302
    host = ExecutorHost.objects.get()
    assert boss.get(f"{HOSTS}add/").context["adminform"].form["queues"].value() == "default"
    assert (host.options, host.queues) == ({"engine": "admin", "max_input_size": 5}, ["default", "reports"])
    change = f"{HOSTS}{host.pk}/change/"
    assert boss.post(change, {**VALUES, "option_engine": "default"}).status_code == 302
    host.refresh_from_db()
    assert host.options == {}


@pytest.mark.usefixtures("unreachable")
def test_an_engine_that_does_not_answer_is_saved_only_by_who_was_told_and_says_so(boss: Client) -> None:
    answer = boss.post(f"{HOSTS}add/", VALUES).content.decode()
    assert "The connection does not work" in answer
    assert "_save_unreachable" in answer
    assert "_save_unreachable" not in boss.get(f"{HOSTS}add/").content.decode()
    assert not ExecutorHost.objects.exists()
    assert boss.post(f"{HOSTS}add/", {**VALUES, "_save_unreachable": "yes"}).status_code == 302
    assert ExecutorHost.objects.count() == 1


def test_the_connection_is_checked_without_saving_anything(boss: Client) -> None:
    answer = boss.post(f"{HOSTS}add/", {**VALUES, "_check": "yes"})
    assert "The engine answers" in answer.content.decode()
    assert "fake-admin" in answer.content.decode()
    assert "errornote" not in answer.content.decode()
    assert not ExecutorHost.objects.exists()
    elsewhere = boss.post(f"{HOSTS}add/", {**VALUES, "node": "far-away", "_check": "yes"}).content.decode()
    assert "Only workers on far-away reach it" in elsewhere
    assert boss.post(f"{HOSTS}add/", {**VALUES, "node": "far-away"}).status_code == 302


def test_each_executor_has_a_field_for_each_of_its_options(boss: Client) -> None:
    for name in ("docker", "podman", "kubernetes", "process", "fake"):
        form = boss.get(f"{HOSTS}add/", {"executor_type": name}).context["adminform"].form
        declared = executor_class(name).options_class
        assert declared is not None
        expected = {f"option_{known.name}": known.default for known in declared.declarations()}
        shown = {field: form.fields[field].initial for field in form.fields if field.startswith("option_")}
        assert shown == expected
        assert form.initial["executor_type"] == name


def test_a_form_that_is_sent_as_it_came_changes_no_option(boss: Client) -> None:
    options = {
        "docker": {
            "base_url": "tcp://127.0.0.1:1", "tls": {"verify": False}, "timeout": 5, "pull_policy": "never",
            "allowed_networks": [], "read_only": True, "cap_add": ["NET_BIND_SERVICE"],
            "tmpfs": {"/scratch": "size=64m"}, "ulimits": {"nofile": [1024, 4096]},
            "max_cpu_limit": 1.5, "default_memory_limit": 64,
        },
        "kubernetes": {
            "namespace": "jobs", "node_selector": {"api-key": "a"}, "tolerations": [{"operator": "Exists"}],
            "run_as_non_root": False, "writable_paths": ["/scratch", "/cache"],
            "secrets": {"DATABASE_URL": {"secret": "shop", "key": "url"}},
        },
    }  # fmt: skip
    for kind, given in options.items():
        host = make_host(name=kind, executor_type=kind, options=given)
        change = f"{HOSTS}{host.pk}/change/"
        fields = boss.get(change).context["adminform"].form
        sent = {}
        for bound in fields:
            value = bound.value()
            if value not in (None, False):
                sent[bound.html_name] = "on" if value is True else value
        assert boss.post(change, {**sent, "weight": "7"}).status_code == 302
        host.refresh_from_db()
        assert (host.options, host.weight) == (given, 7)


def test_a_wrong_option_is_said_at_its_field_and_a_contradiction_at_the_top(boss: Client) -> None:
    docker = {**VALUES, "executor_type": "docker", "option_base_url": "localhost:2375"}
    errors = boss.post(f"{HOSTS}add/", docker).context["adminform"].form.errors
    assert set(errors) == {"option_base_url"}
    assert "must be like unix:///var/run/docker.sock" in errors["option_base_url"][0]
    limits = {"option_base_url": "tcp://x:1", "option_default_memory_limit": "9", "option_max_memory_limit": "8"}
    errors = boss.post(f"{HOSTS}add/", {**docker, **limits}).context["adminform"].form.errors
    assert "must not be above" in errors["__all__"][0]


def test_an_executor_that_does_not_declare_its_options_has_one_field_for_them(boss: Client, settings: Any) -> None:
    settings.CONTAINER_MANAGER = {"EXECUTORS": {"plain": f"{__name__}.Plain", "gone": "nowhere.Executor"}}
    values = {**VALUES, "executor_type": "plain", "options": '{"engine": "admin"}'}
    assert boss.post(f"{HOSTS}add/", values).status_code == 302
    assert ExecutorHost.objects.get().options == {"engine": "admin"}
    assert "cannot be imported" in boss.get(f"{HOSTS}add/", {"executor_type": "gone"}).content.decode()


class Plain(FakeExecutor):
    options_class = None  # type: ignore[assignment]

    def __init__(self, options: Mapping[str, Any], *, installation: str) -> None:
        Executor.__init__(self, options, installation=installation)
        self._engine = engine("admin")


def test_who_may_only_look_is_shown_the_options_and_no_field(client_of: Callable[..., Client]) -> None:
    host = make_host()
    client = client_of("view_executorhost")
    page = client.get(f"{HOSTS}{host.pk}/change/")
    assert "&quot;engine&quot;: &quot;admin&quot;" in page.content.decode()
    assert 'name="_save"' not in page.content.decode()
    assert 'name="option_engine"' not in page.content.decode()
    assert client.get(f"{HOSTS}add/").status_code == 403


def test_the_list_costs_the_same_queries_for_one_host_and_for_ten(
    boss: Client, django_assert_max_num_queries: Callable[..., object]
) -> None:
    for number in range(10):
        make_host(name=f"host-{number}")
    with django_assert_max_num_queries(12):  # type: ignore[attr-defined]
        assert "host-9" in boss.get(HOSTS).content.decode()
