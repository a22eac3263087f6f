"""What systemd hears of us (sd_notify). Does nothing when systemd is not there."""

from __future__ import annotations

import os
import socket


def notify(state: str) -> None:
    """Send a state such as ``READY=1`` to the socket that NOTIFY_SOCKET names."""
    path = os.environ.get("NOTIFY_SOCKET")
    if not path:
        return
    address = "\0" + path[1:] if path.startswith("@") else path
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        try:
            sock.sendto(state.encode(), address)
        except OSError:
            return


def watchdog_interval_s() -> float | None:
    """How often systemd wants WATCHDOG=1, halved for safety; None if it does not."""
    usec, pid = os.environ.get("WATCHDOG_USEC"), os.environ.get("WATCHDOG_PID")
    if not usec or (pid and int(pid) != os.getpid()):
        return None
    return int(usec) / 2_000_000


def extend(seconds: float) -> None:
    """Ask for so many seconds more before systemd gives up on our start or our end."""
    notify(f"EXTEND_TIMEOUT_USEC={int(seconds * 1e6)}")
