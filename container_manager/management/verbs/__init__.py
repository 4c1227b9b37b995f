"""The verbs of ``manage.py containers``, in the order of its help."""

from typing import Final

from container_manager.management.verbs.base import Verb
from container_manager.management.verbs.check import CheckVerb
from container_manager.management.verbs.stats import StatsVerb
from container_manager.management.verbs.worker import WorkerVerb

VERBS: Final[tuple[Verb, ...]] = (WorkerVerb(), StatsVerb(), CheckVerb())
