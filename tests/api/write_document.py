"""``python -m tests.api.write_document``: docs/openapi.yaml is what the API says of itself now."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import django
import yaml

PUBLISHED: Final = Path(__file__).resolve().parents[2] / "docs" / "openapi.yaml"


def text() -> str:
    """The document as it is published."""
    from container_manager.api.schema import document  # noqa: PLC0415 - after Django is set up

    return yaml.safe_dump(document(), sort_keys=False, allow_unicode=True, width=120)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    PUBLISHED.write_text(text(), encoding="utf-8")
