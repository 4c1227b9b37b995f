"""Staff with chosen permissions, and pages as they see them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client


@pytest.fixture
def client_of(db: None) -> Callable[..., Client]:
    """A logged-in member of staff with the named permissions of the app, and no other."""

    def make(*codenames: str) -> Client:
        user = User.objects.create_user("-".join(codenames) or "nobody", is_staff=True)
        found = Permission.objects.filter(content_type__app_label="container_manager", codename__in=codenames)
        assert len(found) == len(codenames)
        user.user_permissions.set(found)
        client = Client()
        client.force_login(user)
        return client

    return make


@pytest.fixture
def boss(db: None) -> Client:
    """A superuser's."""
    client = Client()
    client.force_login(User.objects.create_superuser("boss", password="boss"))
    return client
