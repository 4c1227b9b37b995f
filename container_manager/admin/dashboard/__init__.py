"""The app's front page. Its parts are read one by one, so that each refreshes alone; nothing counts the history."""

from container_manager.admin.dashboard.views import DashboardAdmin

__all__ = ["DashboardAdmin"]
