"""``python -m container_manager.task_backend.run JOB``: what the container of a task runs."""

from __future__ import annotations

import argparse
import os
import sys
from importlib import import_module
from uuid import UUID

import django


def main() -> int:
    """
    The task of the job was run; its result is stored, or printed. 0: it returned, 1: it raised.

    The job is that of ``CM_JOB_ID`` where there is one: a clone has its original's command.
    """
    parser = argparse.ArgumentParser(prog="python -m container_manager.task_backend.run", description=__doc__)
    parser.add_argument("job", type=UUID, help="The id of a job that is being run.")
    job_id = UUID(os.environ.get("CM_JOB_ID") or str(parser.parse_args().job))
    django.setup()
    code: int = import_module("container_manager.task_backend.running").run(job_id)
    return code


if __name__ == "__main__":
    sys.exit(main())
