"""The exit codes of the command line, in one place."""

from typing import Final

OK: Final = 0
ERROR: Final = 1
"""Something is wrong that is not the call's fault: ``check`` found a problem, the database is not ready."""
USAGE: Final = 2
PARTIAL: Final = 3
"""Some of it was done, and some refused."""
NOT_FOUND: Final = 4
"""No job, host or attempt of that name, or more than one."""
REFUSED: Final = 5
"""The queue refused: the job is in the wrong status, or its specification is wrong."""
WAIT_TIMEOUT: Final = 124
"""``run --wait --wait-timeout``: it had not ended in time, and goes on."""
NOT_RUN: Final = 125
"""``run --wait``: it did not end by itself: never started, cancelled, timed out with code 0, or lost."""
INTERRUPTED: Final = 130
"""Ctrl-C. A job that was waited for goes on."""
BROKEN_PIPE: Final = 141
"""Whoever read the output has left: ``containers list | head -1``."""

SUMMARY: Final = (
    "Exit codes: 0 done; 1 something is wrong with the set-up; 2 wrong arguments; 3 done in part; 4 no such job or "
    "host, or several; 5 refused by the queue; 124 waited too long; 125 the job that was waited for did not end by "
    "itself; 130 interrupted; 141 nobody reads the output. 'run --wait' otherwise exits with the job's own code. "
    "With --json each verb prints one object with schema_version."
)
