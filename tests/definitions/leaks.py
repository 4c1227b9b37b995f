"""For workers of ``test_planted_secret``: a provider and a handler that say the secret aloud, and all log lines."""

from __future__ import annotations

import logging
import os

from container_manager.handlers import on_job
from container_manager.models import ContainerJob

# Also what Django, the engine's library and the HTTP client have to say.
logging.basicConfig(level=logging.DEBUG)


def provider(argument: str) -> str:
    raise ValueError(f"no such item for {os.environ['PLANTED_TOKEN']}: {argument}")


@on_job("finished")
def tell(job: ContainerJob) -> None:
    secret = os.environ["ACME_TOKEN" if job.definition else "PLANTED_TOKEN"]
    raise RuntimeError(f"cannot tell of {job.pk} with {secret}")
