"""What registries say, by way of an engine, of an image that cannot be had."""

from __future__ import annotations

import re
from typing import Final

GONE_FOR_GOOD: Final = re.compile(
    r"manifest unknown|not found|does not exist|denied|unauthorized|authentication required|no basic auth"
    r"|forbidden|no matching manifest|does not match the specified platform|no match for platform",
    re.IGNORECASE,
)
PASSING: Final = re.compile(
    r"toomanyrequests|too many requests|rate limit|no such host|server misbehaving", re.IGNORECASE
)


def is_refused_for_good(text: str) -> bool:
    """Is there no such image for these credentials, so that another pull would end as this one did?"""
    return bool(GONE_FOR_GOOD.search(text)) and not PASSING.search(text)
