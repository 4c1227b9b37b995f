"""``python -m container_manager VERB``: ``manage.py containers VERB`` for the project of ``DJANGO_SETTINGS_MODULE``."""

import os
import sys

from django.conf import settings
from django.core.management import execute_from_command_line


def main() -> None:
    module = os.environ.get("DJANGO_SETTINGS_MODULE")
    if not module:
        sys.exit("Set DJANGO_SETTINGS_MODULE to your project's settings, or use 'python manage.py containers'.")
    try:
        settings.INSTALLED_APPS  # noqa: B018 - loads the settings
    except ImportError as error:
        sys.exit(f"DJANGO_SETTINGS_MODULE={module} cannot be imported: {error}. Is its folder the current one?")
    execute_from_command_line([sys.argv[0], "containers", *sys.argv[1:]])


if __name__ == "__main__":
    main()
