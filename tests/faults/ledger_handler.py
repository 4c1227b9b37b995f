"""A handler that writes each call into the file that ``TEST_HANDLER_LEDGER`` names."""

from __future__ import annotations

import os
from pathlib import Path

from container_manager.handlers import on_job
from container_manager.models import ContainerJob


@on_job("finished")
def write_down(job: ContainerJob) -> None:
    with Path(os.environ["TEST_HANDLER_LEDGER"]).open("a") as ledger:
        ledger.write(f"{job.pk} {job.status}\n")
