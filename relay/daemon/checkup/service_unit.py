"""The service as systemd knows it: ``systemctl show``, where systemd is. Blocking; never raises."""

from __future__ import annotations

import subprocess
from pathlib import Path

from relay.admin.host_facts import Unit

NAME = "relay"
_BOOTED = Path("/run/systemd/system")  # sd_booted(3)
_TIMEOUT_S = 3.0
_WANTED = ("LoadState", "ActiveState", "Result", "ExecMainStatus")


def look(name: str = NAME, booted: Path = _BOOTED, program: str = "systemctl") -> Unit | None:
    """The unit; None where there is no systemd, or no such unit."""
    if not booted.is_dir():
        return None
    line = [program, "show", f"{name}.service", f"--property={','.join(_WANTED)}"]
    try:
        done = subprocess.run(line, capture_output=True, text=True, timeout=_TIMEOUT_S)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return None
    return parse(name, done.stdout)


def parse(name: str, shown: str) -> Unit | None:
    """What ``systemctl show`` printed."""
    fields = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
    if fields.get("LoadState") != "loaded":
        return None
    status = fields.get("ExecMainStatus", "")
    return Unit(
        name,
        fields.get("ActiveState", ""),
        fields.get("Result", ""),
        int(status) if status.isdigit() else 0,
    )
