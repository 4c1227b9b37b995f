"""``python -m container_manager VERB``: ``manage.py containers VERB`` for the project of ``DJANGO_SETTINGS_MODULE``."""

import os
import sys

from django.core.management import execute_from_command_line


def main() -> None:
    if not os.environ.get("DJANGO_SETTINGS_MODULE"):
        sys.exit("Set DJANGO_SETTINGS_MODULE to your project's settings, or use 'python manage.py containers'.")
    execute_from_command_line([sys.argv[0], "containers", *sys.argv[1:]])


if __name__ == "__main__":
    main()
