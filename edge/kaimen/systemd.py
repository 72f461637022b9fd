"""Telling systemd that a program is ready, alive or stopping (sd_notify), without a library."""

from __future__ import annotations

import contextlib
import os
import socket


def notify(*lines: str) -> None:
    """Send lines such as ``READY=1``; nothing happens where no service manager listens.

    Never waits and never fails: a service manager that does not listen must not stop a door.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as out,
    ):
        out.sendto("\n".join(lines).encode(), address)


def watchdog_interval() -> float | None:
    """Seconds between two ``WATCHDOG=1``, half of what systemd waits; None if it does not wait."""
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    meant = os.environ.get("WATCHDOG_PID") or str(os.getpid())
    if not microseconds.isdecimal() or int(microseconds) == 0 or meant != str(os.getpid()):
        return None
    return int(microseconds) / 2e6
