"""
The live admin: Django's own, with a dashboard, and pages that refresh themselves.

One module per area. ``pages`` and ``permissions`` are the frame; the templates extend
``admin/container_manager/frame.html`` or, for the stock lists and forms, that app's ``change_list.html``
and ``change_form.html``.
"""

from container_manager.admin.batches import JobBatchAdmin
from container_manager.admin.dashboard import DashboardAdmin
from container_manager.admin.environments import EnvironmentTemplateAdmin
from container_manager.admin.handlers import HandlerCallAdmin
from container_manager.admin.hosts import ExecutorHostAdmin
from container_manager.admin.jobs import ContainerJobAdmin
from container_manager.admin.workers import WorkerAdmin

__all__ = [
    "ContainerJobAdmin", "DashboardAdmin", "EnvironmentTemplateAdmin", "ExecutorHostAdmin", "HandlerCallAdmin",
    "JobBatchAdmin", "WorkerAdmin",
]  # fmt: skip
