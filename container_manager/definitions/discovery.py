"""Definitions are found as Django finds ``admin.py``."""

from django.utils.module_loading import autodiscover_modules

MODULE = "container_jobs"


def autodiscover() -> None:
    """The module ``container_jobs`` of every installed app that has one is imported."""
    autodiscover_modules(MODULE)
