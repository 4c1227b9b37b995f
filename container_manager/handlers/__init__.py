"""
Durable handlers: functions that are called when something happened to a job, at least once.

A call is a row of the outbox, ``HandlerCall``, written in the transaction of what it tells and
delivered by a worker. Put handlers into ``container_jobs.py`` of an app: it is imported at start.
"""

from container_manager.handlers.registry import EVENTS, on_job, on_queue_unserved

__all__ = ["EVENTS", "on_job", "on_queue_unserved"]
