"""The verbs of ``manage.py containers``, in the order of its help."""

from typing import Final

from container_manager.management.verbs.base import Verb
from container_manager.management.verbs.change import CHANGES
from container_manager.management.verbs.check import CheckVerb
from container_manager.management.verbs.fleet import HostsVerb, WorkersVerb
from container_manager.management.verbs.handlers import HandlersVerb
from container_manager.management.verbs.installation import InstallationVerb
from container_manager.management.verbs.limits import LimitsVerb
from container_manager.management.verbs.list import ListVerb
from container_manager.management.verbs.logs import LogsVerb
from container_manager.management.verbs.prune import PruneVerb
from container_manager.management.verbs.run import RunVerb
from container_manager.management.verbs.show import ShowVerb
from container_manager.management.verbs.stats import StatsVerb
from container_manager.management.verbs.top import TopVerb
from container_manager.management.verbs.worker import WorkerVerb

VERBS: Final[tuple[Verb, ...]] = (
    WorkerVerb(),
    RunVerb(),
    ListVerb(),
    ShowVerb(),
    LogsVerb(),
    *CHANGES,
    StatsVerb(),
    TopVerb(),
    WorkersVerb(),
    HostsVerb(),
    HandlersVerb(),
    LimitsVerb(),
    CheckVerb(),
    PruneVerb(),
    InstallationVerb(),
)
