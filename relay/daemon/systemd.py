"""What systemd hears of us (sd_notify). Does nothing when systemd is not there.

A systemd that is busy, as while it loads its units anew, reads late, and its socket holds few messages. What
is said again and again does not wait for it; what is said once does, for seconds at most.
"""

from __future__ import annotations

import os
import socket

_PATIENCE_S = 5.0


def notify(state: str, *, is_said_again: bool = False) -> None:
    """Send a state such as ``READY=1`` to the socket that NOTIFY_SOCKET names."""
    path = os.environ.get("NOTIFY_SOCKET")
    if not path:
        return
    address = "\0" + path[1:] if path.startswith("@") else path
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        sock.settimeout(0.0 if is_said_again else _PATIENCE_S)
        try:
            sock.sendto(state.encode(), address)
        except OSError:
            return


def is_there() -> bool:
    """Whether systemd, or something like it, listens."""
    return bool(os.environ.get("NOTIFY_SOCKET"))


def watchdog_interval_s() -> float | None:
    """How often systemd wants WATCHDOG=1, halved for safety; None if it does not."""
    usec, pid = os.environ.get("WATCHDOG_USEC"), os.environ.get("WATCHDOG_PID")
    if not usec or (pid and int(pid) != os.getpid()):
        return None
    return int(usec) / 2_000_000


def extend(seconds: float) -> None:
    """Ask for so many seconds more before systemd gives up on our start or our end."""
    notify(f"EXTEND_TIMEOUT_USEC={int(seconds * 1e6)}")
