#!/usr/bin/env python3
"""
Chromium that is not told of changes of the machine's network.

It drops all its connections (``ERR_NETWORK_CHANGED``) whenever an interface comes or goes, which each container of
another test does; there is no switch against it. It hears of them over a netlink socket, so it is given none. The
browser is the one that ``CHROMIUM`` names.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import socket
import struct
import sys
from typing import Final

PR_SET_SECCOMP: Final = 22
PR_SET_NO_NEW_PRIVS: Final = 38
SECCOMP_MODE_FILTER: Final = 2
ALLOW: Final = 0x7FFF0000
REFUSE: Final = 0x00050000 | errno.EAFNOSUPPORT
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
NUMBER_AT, ARCHITECTURE_AT, FAMILY_AT = 0, 4, 16
SOCKET_CALLS: Final = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}
"""By machine: its number for seccomp, and that of the system call ``socket``."""


def refuse_netlink() -> None:
    """From now on, and in every program this process becomes, ``socket(AF_NETLINK, ...)`` fails."""
    architecture, call = SOCKET_CALLS[platform.machine()]
    steps = [
        (LOAD, 0, 0, ARCHITECTURE_AT), (EQUAL, 0, 5, architecture),
        (LOAD, 0, 0, NUMBER_AT), (EQUAL, 0, 3, call),
        (LOAD, 0, 0, FAMILY_AT), (EQUAL, 0, 1, socket.AF_NETLINK),
        (RETURN, 0, 0, REFUSE),
        (RETURN, 0, 0, ALLOW),
    ]  # fmt: skip
    program = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
    header = ctypes.create_string_buffer(struct.pack("@HP", len(steps), ctypes.addressof(program)))
    libc = ctypes.CDLL(None, use_errno=True)
    for arguments in ((PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, header, 0, 0)):
        if libc.prctl(*arguments):
            number = ctypes.get_errno()
            raise OSError(number, f"prctl: {os.strerror(number)}")


if __name__ == "__main__":
    if platform.machine() in SOCKET_CALLS:
        refuse_netlink()
    os.execv(os.environ["CHROMIUM"], [os.environ["CHROMIUM"], *sys.argv[1:]])  # noqa: S606
