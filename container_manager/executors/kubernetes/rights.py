"""What the cluster must allow a worker."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

RIGHTS: Final = tuple(
    (verb, group, resource, subresource)
    for group, resource, subresource, verbs in (
        ("batch", "jobs", "", ("create", "get", "list", "watch", "patch", "delete")),
        ("", "pods", "", ("list", "watch", "delete")),
        ("", "pods", "log", ("get",)),
    )
    for verb in verbs
)
"""As ``deploy/kubernetes/rbac.yaml`` grants them."""


def missing_rights(may: Callable[[str, str, str, str], bool]) -> list[str]:
    """Those of ``RIGHTS`` that ``may`` denies, in words."""
    with ThreadPoolExecutor(4, thread_name_prefix="kubernetes-rights") as pool:
        allowed = list(pool.map(lambda right: may(*right), RIGHTS))
    return [
        f"{verb} {resource}{'/' + subresource if subresource else ''}"
        for (verb, _, resource, subresource), is_allowed in zip(RIGHTS, allowed, strict=True)
        if not is_allowed
    ]
