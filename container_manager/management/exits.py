"""The exit codes of the command line, in one place."""

from typing import Final

OK: Final = 0
ERROR: Final = 1
"""Something is wrong that is not the call's fault: ``check`` found a problem."""
USAGE: Final = 2
PARTIAL: Final = 3
"""Of several jobs some were done and some refused."""
NOT_FOUND: Final = 4
"""No job, host or attempt of that name, or more than one."""
REFUSED: Final = 5
"""The queue refused: the job is in the wrong status, or its specification is wrong."""
WAIT_TIMEOUT: Final = 124
"""``run --wait --timeout``: it had not ended in time, and goes on."""
NOT_RUN: Final = 125
"""``run --wait``: it ended without an exit code of its own: never started, cancelled, or lost."""
INTERRUPTED: Final = 130
