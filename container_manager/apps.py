"""The Django application."""

from importlib import import_module

from django.apps import AppConfig
from django.conf import settings
from django.utils.translation import gettext_lazy as _


class ContainerManagerConfig(AppConfig):
    name = "container_manager"
    verbose_name = _("Container manager")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # Here, since models exist only from here on.
        from container_manager import checks, definitions, lifecycle, logs, signals  # noqa: PLC0415
        from container_manager.handlers import outbox  # noqa: PLC0415

        signals.jobs_moved.connect(logs.log_moves, dispatch_uid="container_manager.logs")
        lifecycle.follow(outbox.feed, outbox.is_fed)
        checks.register_checks()
        definitions.autodiscover()
        if _has_task_backend():
            import_module("container_manager.task_backend.endings").connect()


def _has_task_backend() -> bool:
    backends = getattr(settings, "TASKS", {}).values()
    return any(str(backend.get("BACKEND")).startswith("container_manager.task_backend") for backend in backends)
