"""What systemd says of the service, as its program prints it."""

from pathlib import Path

import pytest

from relay.admin.host_facts import Unit
from relay.daemon.checkup.service_unit import look, parse


@pytest.mark.parametrize(
    ("shown", "unit"),
    [
        ("LoadState=loaded\nActiveState=failed\nResult=exit-code\nExecMainStatus=78\n",
         Unit("relay", "failed", "exit-code", 78)),
        ("LoadState=loaded\nActiveState=active\nResult=success\nExecMainStatus=0\n",
         Unit("relay", "active", "success", 0)),
        ("LoadState=not-found\nActiveState=inactive\n", None),
        ("", None),
        ("LoadState=loaded\nExecMainStatus=what\n", Unit("relay", "", "", 0)),
    ],
)  # fmt: skip
def test_parse(shown: str, unit: Unit | None) -> None:
    assert parse("relay", shown) == unit


def test_the_program_is_asked_only_where_systemd_runs(tmp_path: Path) -> None:
    program = tmp_path / "systemctl"
    program.write_text("#!/bin/sh\necho LoadState=loaded; echo ActiveState=$2\n")
    program.chmod(0o755)
    assert look("relay", tmp_path, str(program)) == Unit("relay", "relay.service")
    assert look("relay", tmp_path / "no", str(program)) is None
    assert look("relay", tmp_path, str(tmp_path / "gone")) is None
