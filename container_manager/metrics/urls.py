"""``metrics``, apart from the health checks: it needs the extra ``metrics``."""

from django.urls import path

from container_manager.metrics.views import metrics_view

urlpatterns = [path("metrics", metrics_view, name="metrics")]
