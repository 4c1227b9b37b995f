"""Kubernetes as an executor. Needs the extra ``kubernetes``; nothing else of the package imports it."""

from container_manager.executors.kubernetes.executor import KubernetesExecutor

__all__ = ["KubernetesExecutor"]
