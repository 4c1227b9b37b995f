"""Users, and a client that speaks JSON as a program would."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from container_manager.models import ContainerJob

BASE = "/api/v1"


class Api:
    """Requests of one user, or of nobody."""

    def __init__(self, user: User | None = None) -> None:
        self._client = Client()
        if user is not None:
            self._client.force_login(user)

    def get(self, path: str, **headers: str) -> Any:
        return self._client.get(BASE + path, headers=headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        data = "" if body is None else json.dumps(body)
        return self._client.post(BASE + path, data, content_type="application/json", headers=headers)

    def delete(self, path: str) -> Any:
        return self._client.delete(BASE + path)


@pytest.fixture
def user_with(db: None) -> Callable[..., User]:
    """A user with these permissions of the package."""

    def make(*names: str, username: str = "ann") -> User:
        user = User.objects.create_user(username)
        user.user_permissions.set(
            Permission.objects.filter(content_type__app_label="container_manager", codename__in=names)
        )
        return user

    return make


@pytest.fixture
def api(db: None) -> Api:
    """Somebody who may do everything."""
    return Api(User.objects.create_superuser("root"))


@pytest.fixture
def job(db: None) -> ContainerJob:
    return ContainerJob.objects.create(command="echo hello", name="hello")
