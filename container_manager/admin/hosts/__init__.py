"""Hosts in the admin: ``option_fields`` makes fields of an executor's options, ``form`` a host's form of them."""

from container_manager.admin.hosts.model_admin import ExecutorHostAdmin

__all__ = ["ExecutorHostAdmin"]
