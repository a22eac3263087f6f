"""The units for systemd agree with the defaults of the configuration, and systemd agrees with the units."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from relay.daemon.exits import EX_CONFIG
from relay.daemon.settings.config import Config
from relay.daemon.settings.units import parse_duration
from relay.daemon.sockets import BACKLOG
from tests.fakes.machine import need, need_root

FOLDER = Path(__file__).parents[2] / "systemd"
UNIT = FOLDER / "relay.service"
SEVERAL = ("SystemCallFilter", "ListenStream")  # keys that may stand more than once
WORST_EXPOSURE = 2.0
# What a mail server cannot do without: the network, ports below 1024, clamd, a notifier that is nice, and a
# view of the machine's memory. RootDirectory is for whoever makes an image.
EXPOSED = {
    "AmbientCapabilities",
    "CapabilityBoundingSet_CAP_NET_BIND_SERVICE_BROADCAST_RAW)",
    "DeviceAllow",
    "IPAddressDeny",
    "PrivateNetwork",
    "PrivateUsers",
    "ProcSubset",
    "RestrictAddressFamilies_AF_INET_INET6",
    "RestrictAddressFamilies_AF_UNIX",
    "RootDirectoryOrRootImage",
    "SystemCallFilter_resources",
}


def lines_of(name: str) -> list[tuple[str, str]]:
    lines = (FOLDER / name).read_text().splitlines()
    parts = [line.partition("=") for line in lines if "=" in line and not line.startswith("#")]
    return [(key, value) for key, _, value in parts]


@pytest.fixture(scope="module")
def keys() -> dict[str, str]:
    found = [one for one in lines_of("relay.service") if one[0] not in SEVERAL]
    assert len(found) == len(dict(found)), "a key stands twice"
    return dict(found)


def test_it_waits_longer_than_a_drain_takes(keys: dict[str, str]) -> None:
    assert parse_duration(keys["TimeoutStopSec"]) > 2 * Config().workers.drain + 10


def test_it_speaks_the_relays_language(keys: dict[str, str]) -> None:
    assert keys["Type"] == "notify"
    assert keys["ExecStart"].endswith("/relay run")
    assert keys["ExecReload"].endswith("/relay reload")  # its exit status tells of a file that is refused
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


def test_the_socket_unit_has_the_ports_of_the_default_configuration() -> None:
    shown = tomllib.loads((FOLDER.parent / "conf" / "relay.toml").read_text())
    addresses = [address for one in shown["listener"] for address in one["address"]]
    assert [value for key, value in lines_of("relay.socket") if key == "ListenStream"] == addresses
    others = dict(lines_of("relay.socket"))
    assert others["BindIPv6Only"] == "ipv6-only"  # as the relay's own sockets: both stand side by side
    assert others["Accept"] == "no"
    assert int(others["Backlog"]) == BACKLOG


def installed(folder: Path) -> list[str]:
    """The units as on a machine that has the program they start."""
    program = Path(sys.executable).parent / "relay"
    for name in ("relay.service", "relay.socket"):
        text = (FOLDER / name).read_text()
        (folder / name).write_text(text.replace("/opt/relay/bin/relay", str(program)))
    return [str(folder / name) for name in ("relay.service", "relay.socket")]


def analyzed(*words: str) -> str:
    program = need("systemd-analyze", "systemd")
    ended = subprocess.run([program, *words], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


def test_systemd_accepts_them(tmp_path: Path) -> None:
    analyzed("verify", "--man=no", *installed(tmp_path))


def test_systemd_finds_little_that_is_exposed(tmp_path: Path) -> None:
    service, _ = installed(tmp_path)
    table = json.loads(analyzed("security", "--offline=true", "--json=short", service))
    assert {row["json_field"] for row in table if row["exposure"] is not None} <= EXPOSED
    tenths = str(int(WORST_EXPOSURE * 10))
    analyzed("security", "--offline=true", f"--threshold={tenths}", service)  # its exit status tells


def test_users_and_folders_are_made(tmp_path: Path) -> None:
    """By the real systemd-sysusers and systemd-tmpfiles, into an empty root."""
    need_root("systemd-sysusers")
    for kind in ("sysusers", "tmpfiles"):
        there = tmp_path / "etc" / f"{kind}.d" / "relay.conf"
        there.parent.mkdir(parents=True)
        there.write_text((FOLDER / f"relay.{kind}").read_text())
    for program, more in (("systemd-sysusers", []), ("systemd-tmpfiles", ["--create"])):
        command = [need(program, "systemd"), *more, f"--root={tmp_path}"]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert ended.returncode == 0, ended.stderr
    name, _, uid, gid, _, home, shell = (tmp_path / "etc" / "passwd").read_text().strip().split(":")
    assert (name, home, shell) == ("relay", "/var/lib/relay", "/usr/sbin/nologin")
    spool = (tmp_path / "var" / "spool" / "relay").stat()
    assert (oct(spool.st_mode), spool.st_uid, spool.st_gid) == ("0o40710", int(uid), int(gid))
