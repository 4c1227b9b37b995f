"""Who may do what: Django's permissions, asked on the server for every action."""

from __future__ import annotations

from django.contrib.auth import get_permission_codename
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import HttpRequest

from container_manager.models import ContainerJob


def may(request: HttpRequest, action: str, model: type[Model] = ContainerJob) -> bool:
    """
    Whether the request's user has the permission ``action`` on ``model``.

    Of jobs: ``view``, ``change``, ``add``, ``delete``, ``launch``, ``cancel``, ``retry``, ``view_logs``.
    """
    codename = get_permission_codename(action, model._meta)
    return request.user.has_perm(f"{model._meta.app_label}.{codename}")


def require(request: HttpRequest, action: str, model: type[Model] = ContainerJob) -> None:
    """As ``may``; ``PermissionDenied``, which is a 403 that says what is missing, when not."""
    if not may(request, action, model):
        codename = get_permission_codename(action, model._meta)
        raise PermissionDenied(f"You need the permission {model._meta.app_label}.{codename}.")
