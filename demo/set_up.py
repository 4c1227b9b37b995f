"""Everything before the first job: the tables, somebody who may look at them, and a host."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import django
from django.contrib.auth import get_user_model
from django.core.management import call_command

HERE = Path(__file__).resolve().parent


def set_up() -> str:
    """
    Django is ready, the tables are there, and the user ``demo`` may do everything. Returns the password.

    It is ``DEMO_PASSWORD`` of when the user was made.
    """
    os.chdir(HERE)
    os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
    django.setup()
    call_command("migrate", verbosity=0)
    users = get_user_model().objects
    password = os.environ.get("DEMO_PASSWORD", "demo")
    if not users.filter(username="demo").exists():
        users.create_superuser("demo", password=password)
    return password


if __name__ == "__main__":
    set_up()
    from engines import choose_host  # models can be imported only after setup()

    sys.stdout.write(f"{choose_host().line}\n")
