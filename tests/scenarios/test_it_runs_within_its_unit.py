"""The relay under the system call filters of its unit, with a key that came as a credential."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes import seccomp
from tests.fakes.machine import missing, need
from tests.fakes.prepared import SENDER, Prepared, message, wait_until
from tests.fakes.running import RunningRelay
from tests.scenarios.load import TO
from tests.scenarios.receiver import Receiver

UNIT = Path(__file__).parents[2] / "systemd" / "relay.service"
WITHIN = [sys.executable, str(Path(seccomp.__file__)), str(UNIT)]

TRY = """
import mmap, os, socket
for name, attempt in {
    "chown": lambda: os.chown("/", 0, 0),
    "setuid": lambda: os.setuid(0),
    "netlink": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
    "writable code": lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC),
    "affinity": lambda: os.sched_setaffinity(0, {0}),
    "nice": lambda: os.nice(1),
    "memfd": lambda: os.memfd_create("x"),
    "session": lambda: os.setsid(),
    "unix": lambda: socket.socket(socket.AF_UNIX),
}.items():
    try:
        attempt()
        print(name, "allowed")
    except OSError:
        print(name, "refused")
"""


@pytest.fixture(autouse=True)
def needs() -> None:
    need("systemd-analyze", "systemd")
    try:
        seccomp.library()
    except OSError as error:
        missing(f"libseccomp2: {error}")


def test_the_filters_are_in_force() -> None:
    """Else the test below would show nothing."""
    command = [*WITHIN, sys.executable, "-c", TRY]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert dict(line.rsplit(" ", 1) for line in said.splitlines()) == {
        **dict.fromkeys(["chown", "setuid", "netlink", "writable code", "affinity"], "refused"),
        **dict.fromkeys(["nice", "memfd", "session", "unix"], "allowed"),
    }


def test_it_does_all_it_has_to(
    tmp_path: Path, prepared: Prepared, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    relay = RunningRelay(tmp_path / "relay", prepared, next_hop=receiver.port, workers=1)
    relay.within = WITHIN
    given = tmp_path / "credentials"
    given.mkdir()
    (relay.folder / "tls.key").rename(given / "key.of.tls")
    text = relay.file.read_text().replace('"tls.key"', '"credential:key.of.tls"')
    relay.file.write_text(text)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(given))
    with relay:
        with relay.client() as client:  # with the certificate whose key came as a credential
            assert client.sendmail(SENDER, [TO], message("within")) == {}
        receiver.wait_for("within")
        reload = subprocess.run(
            [*WITHIN, sys.executable, "-m", "relay", "--config", str(relay.file), "reload"],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert (reload.returncode, reload.stderr) == (0, "")
        wait_until(lambda: relay.ask("status")["notifier"]["ready"], "the notifier is there, and nice")
        (pid,) = relay.pids_below("notifier")
        assert os.getpriority(os.PRIO_PROCESS, pid) > 0
        relay.file.write_text(f"{text}\n[spol]\n")
        reload = subprocess.run(reload.args, capture_output=True, text=True, timeout=60)
        assert reload.returncode != 0  # which `systemctl reload` shows
        assert "did you mean 'spool'?" in reload.stderr
        relay.file.write_text(text)
        relay.stop()
    troubles = [one for one in relay.log().splitlines() if "level=error" in one or "Traceback" in one]
    assert troubles == []
    assert "ermitted" not in relay.log()  # "Operation not permitted" is what the filter says
