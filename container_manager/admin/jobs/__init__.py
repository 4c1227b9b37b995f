"""Jobs in the admin: ``listing`` and ``bulk_page``, ``job_page`` and its ``actions``, ``log_page``, ``forms``."""

from container_manager.admin.jobs.model_admin import ContainerJobAdmin

__all__ = ["ContainerJobAdmin"]
