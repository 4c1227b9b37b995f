"""Which process this is, so that another on the same machine can tell at once that it is gone."""

from __future__ import annotations

import os
from pathlib import Path


def process_identity(process_id: int | None = None) -> str:
    """Boot, process namespace, id and start time, ``/``-separated; empty where there is no ``/proc``."""
    pid = os.getpid() if process_id is None else process_id
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = Path("/proc/self/ns/pid").readlink()
        # The command's name, in parentheses, may hold spaces; the start time is the 20th field after it.
        started = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""
    return f"{boot}/{namespace}/{pid}/{started}"


def is_gone(identity: str) -> bool:
    """Whether the process of ``identity`` has provably ended: same boot and namespace as ours, and not there."""
    own = process_identity()
    if not own or not identity:
        return False
    boot, namespace, pid, _ = identity.rsplit("/", 3)
    own_boot, own_namespace, *_ = own.rsplit("/", 3)
    return (boot, namespace) == (own_boot, own_namespace) and process_identity(int(pid)) != identity
