"""Calls that handlers are owed: ``listing`` reads a page of them, ``model_admin`` answers and acts."""

from container_manager.admin.handlers.model_admin import HandlerCallAdmin

__all__ = ["HandlerCallAdmin"]
