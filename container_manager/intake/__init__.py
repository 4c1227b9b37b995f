"""How jobs get into the queue, judged first, then written, all or none; and out of it again."""

from __future__ import annotations

from container_manager.intake.several import dequeue_many, queue_many
from container_manager.intake.single import OnConflict, clone, dequeue_one, queue_one, retry_one

__all__ = ["OnConflict", "clone", "dequeue_many", "dequeue_one", "queue_many", "queue_one", "retry_one"]
