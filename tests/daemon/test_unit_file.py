"""The unit for systemd agrees with the defaults of the configuration, and systemd agrees with the unit."""

import subprocess
import sys
from pathlib import Path

import pytest

from relay.daemon.exits import EX_CONFIG
from relay.daemon.settings.config import Config
from relay.daemon.settings.units import parse_duration
from tests.fakes.machine import need

UNIT = Path(__file__).parents[2] / "systemd" / "relay.service"


@pytest.fixture(scope="module")
def keys() -> dict[str, str]:
    lines = [line for line in UNIT.read_text().splitlines() if "=" in line and not line.startswith("#")]
    found = [line.partition("=")[::2] for line in lines]
    assert len(found) == len(dict(found)), "a key stands twice"
    return dict(found)


def test_it_waits_longer_than_a_drain_takes(keys: dict[str, str]) -> None:
    assert parse_duration(keys["TimeoutStopSec"]) > 2 * Config().workers.drain + 10


def test_it_speaks_the_relays_language(keys: dict[str, str]) -> None:
    assert keys["Type"] == "notify"
    assert keys["ExecStart"].endswith("/relay run")
    assert keys["ExecReload"] == "/bin/kill -HUP $MAINPID"
    assert keys["RestartPreventExitStatus"] == str(EX_CONFIG)
    assert keys["Restart"] == "on-failure"
    assert keys["KillMode"] == "mixed"  # the supervisor drains; what is left is killed
    assert parse_duration(keys["WatchdogSec"]) >= 10


def test_it_never_gives_up_for_good(keys: dict[str, str]) -> None:
    """A database server that is down for an hour must not need a hand afterwards."""
    assert keys["StartLimitIntervalSec"] == "0"


def test_every_connection_has_a_descriptor(keys: dict[str, str]) -> None:
    config = Config()
    cores = 64
    needed = config.limits.connections + config.delivery.connections + 4 * cores + 100
    assert int(keys["LimitNOFILE"]) > needed


def test_secrets_stay(keys: dict[str, str]) -> None:
    assert (keys["LimitCORE"], keys["UMask"], keys["NoNewPrivileges"]) == ("0", "0077", "yes")
    assert keys["AmbientCapabilities"] == keys["CapabilityBoundingSet"] == "CAP_NET_BIND_SERVICE"


def test_it_may_write_where_the_defaults_are(keys: dict[str, str]) -> None:
    config = Config()
    assert config.directory.key_file.parent == Path("/var/lib") / keys["StateDirectory"]
    assert keys["ReadWritePaths"] == f"-{config.spool.path}"
    assert keys["Environment"] == "RELAY_CONFIG=/etc/relay/relay.toml"


def test_systemd_accepts_it(tmp_path: Path) -> None:
    program = need("systemd-analyze", "systemd")
    installed = Path(sys.executable).parent / "relay"  # in place of the one that is not installed here
    (tmp_path / "relay.service").write_text(UNIT.read_text().replace("/opt/relay/bin/relay", str(installed)))
    ended = subprocess.run(
        [program, "verify", "--man=no", str(tmp_path / "relay.service")],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
