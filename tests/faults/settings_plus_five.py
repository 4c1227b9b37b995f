"""The tests' settings with database sessions that believe to be five hours east of Greenwich."""

from __future__ import annotations

from tests.settings import *  # noqa: F403
from tests.settings import DATABASES, TEST_DATABASE

_INIT = {"mariadb": {"init_command": "SET time_zone = '+05:00'"}, "postgres": {"options": "-c TimeZone=Asia/Karachi"}}
DATABASES["default"]["OPTIONS"] |= _INIT.get(TEST_DATABASE, {})
