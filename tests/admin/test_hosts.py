"""Hosts in the admin: tested, drained, resumed, and checked before they are saved."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from container_manager.executors.fake import engine
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


def test_a_new_host_is_saved_only_when_its_engine_answers_unless_asked_not_to(boss: Client) -> None:
    values = {
        "name": "two", "executor_type": "fake", "options": '{"engine": "admin"}', "queues": '["default"]',
        "is_active": "on", "weight": "100", "max_concurrent_jobs": "3",
    }  # fmt: skip
    engine("admin").is_reachable = False
    try:
        answer = boss.post(f"{HOSTS}add/", values)
        assert "The connection does not work" in answer.content.decode()
        assert not ExecutorHost.objects.exists()
        assert boss.post(f"{HOSTS}add/", {**values, "save_unchecked": "on"}).status_code == 302
    finally:
        engine("admin").is_reachable = True
    assert boss.post(f"{HOSTS}add/", {**values, "name": "three"}).status_code == 302
    assert set(ExecutorHost.objects.values_list("name", flat=True)) == {"two", "three"}


def test_the_list_costs_the_same_queries_for_one_host_and_for_ten(
    boss: Client, django_assert_max_num_queries: Callable[..., object]
) -> None:
    for number in range(10):
        make_host(name=f"host-{number}")
    with django_assert_max_num_queries(12):  # type: ignore[attr-defined]
        assert "host-9" in boss.get(HOSTS).content.decode()
