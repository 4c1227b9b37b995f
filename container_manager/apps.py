"""The Django application."""

from django.apps import AppConfig
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
        lifecycle.follow(outbox.feed)
        checks.register_checks()
        definitions.autodiscover()
