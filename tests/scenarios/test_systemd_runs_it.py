"""The package where systemd is process 1: start, sandbox, reload, watchdog, sockets, upgrade, removal.

One machine for all tests of this file. They find the service running and leave it so; the last removes it.
"""

import json
import os
import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator

import pytest

from tests.fakes.prepared import DOMAIN, SENDER, message
from tests.scenarios.debian import Debian, Machine, newer
from tests.scenarios.receiver import Receiver

pytestmark = pytest.mark.timeout(600)

CONFIGURATION = "/etc/relay/relay.toml"
DROP_IN = "/etc/systemd/system/relay.service.d/test.conf"
# Long enough for a busy machine, and shorter than what is waited for.
HEARTBEAT_S, WATCHDOG_S = 5, 8
CAP_NET_BIND_SERVICE = 10
SECCOMP_FILTER = "2"


class Served:
    """A machine that has the package, and whose relay delivers to a receiver in the machine's network."""

    def __init__(self, debian: Debian, machine: Machine, receiver: Receiver) -> None:
        self.debian, self.machine, self.receiver = debian, machine, receiver
        self.file = debian.path(CONFIGURATION)

    def install(self) -> str:
        return self.machine.run("dpkg", "--force-unsafe-io", "-i", self.debian.package)

    def begin(self) -> None:
        """What README.Debian says is next, a key that belongs to root, and where mail goes."""
        run = self.machine.run
        run("relay", "account", "create", "shop", "--contact", f"postmaster@{DOMAIN}", "--rate", "unlimited")
        made = json.loads(run("sh", "-c", "relay credential create shop --json 2>/dev/null"))
        self.login = (made["smtp_username"], made["smtp_password"])
        run("relay", "identity", "add", "shop", DOMAIN, "--verified")
        key = self.debian.path("/etc/relay/tls.key").rename(self.debian.path("/root/tls.key"))
        os.chown(key, 0, 0)
        with self.debian.path(DROP_IN).open("a") as drop_in:
            drop_in.write("LoadCredential=tls.key:/root/tls.key\n")
        text = self.file.read_text()
        assert 'private_key = "tls.key"' in text
        self.file.write_text(
            text.replace('private_key = "tls.key"', 'private_key = "credential:tls.key"')
            + f"""
[workers]
heartbeat = "{HEARTBEAT_S}s"
[delivery]
private_addresses = "allow"
[[route]]
domain = "*"
next_hop = "127.0.0.1:{self.receiver.port}"
tls = "none"
"""
        )
        run("systemctl", "daemon-reload")
        run("systemctl", "restart", "relay")

    def systemctl(self, *words: str) -> None:
        self.machine.run("systemctl", *words)

    def send(self, subject: str) -> None:
        """To the port that mail programs are told; arrives at the receiver."""
        trust = ssl.create_default_context(cafile=str(self.debian.path("/etc/relay/tls.crt")))
        with smtplib.SMTP("localhost", 587, timeout=60) as client:
            client.starttls(context=trust)
            client.login(*self.login)
            client.sendmail(SENDER, ["someone@receiver.example"], message(subject))
        self.receiver.wait_for(subject)

    def pid(self) -> int:
        """The supervisor's."""
        return int(self.machine.show("MainPID"))

    def workers(self) -> list[int]:
        pid = self.pid()
        found = []
        for child in self.machine.run("cat", f"/proc/{pid}/task/{pid}/children").split():
            if "worker" in self.machine.ended(["cat", f"/proc/{child}/cmdline"]).stdout.split("\0"):
                found.append(int(child))
        return found


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with Debian() as debian, debian.booted() as machine, machine.network(), Receiver() as receiver:
        served = Served(debian, machine, receiver)
        try:
            drop_in = debian.path(DROP_IN)
            drop_in.parent.mkdir()
            drop_in.write_text(f"[Service]\nWatchdogSec={WATCHDOG_S}s\n")
            served.install()
            served.begin()
            yield served
        finally:
            print(machine.ended(["journalctl", "--no-pager", "--unit=relay*"]).stdout)


def test_the_package_starts_it(served: Served) -> None:
    machine = served.machine
    assert machine.run("systemctl", "is-active", "relay.service").strip() == "active"
    assert machine.run("systemctl", "is-enabled", "relay.service").strip() == "enabled"
    served.send("it runs")
    assert "event=delivered" in machine.journal()
    assert "workers" in machine.show("StatusText")


def test_a_key_of_root_is_handed_in_as_a_credential(served: Served) -> None:
    served.send("with a key that the relay may not read")
    with pytest.raises(AssertionError, match="Permission denied"):
        served.machine.run("setpriv", "--reuid=relay", "--clear-groups", "cat", "/root/tls.key")
    served.machine.run("relay", "config", "check")  # root finds it where systemd put it for the service


def test_the_sandbox_is_in_force(served: Served) -> None:
    for pid in (served.pid(), *served.workers()):
        text = served.machine.run("cat", f"/proc/{pid}/status")
        status = {name: value.strip() for name, _, value in (one.partition(":") for one in text.splitlines())}
        assert status["Seccomp"] == SECCOMP_FILTER
        assert status["NoNewPrivs"] == "1"
        assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 1 << CAP_NET_BIND_SERVICE
        assert status["Uid"].split()[0] != "0"
        mounts = served.machine.run("cat", f"/proc/{pid}/mountinfo").splitlines()
        options = {one.split()[4]: one.split()[5].split(",") for one in mounts}
        assert "ro" in options["/"]
        assert "rw" in options["/var/lib/relay"]
        assert "rw" in options["/var/spool/relay"]


def test_a_reload_keeps_the_process_and_one_that_fails_says_so(served: Served) -> None:
    before, pid = served.file.read_text(), served.pid()
    served.file.write_text(before + '[log]\nlevel = "debug"\n')
    served.systemctl("reload", "relay")
    served.file.write_text(before + "[limits]\nrecipient = 50\n")
    assert served.machine.ended(["systemctl", "reload", "relay"]).returncode != 0
    assert "recipients" in served.machine.journal()  # what it might have meant
    served.send("the old configuration holds")
    served.file.write_text(before)
    served.systemctl("reload", "relay")
    assert served.pid() == pid
    assert served.machine.show("NRestarts") == "0"


def test_a_worker_that_hangs_is_replaced_by_the_supervisor(served: Served) -> None:
    pid, workers = served.pid(), served.workers()
    served.machine.run("sh", "-c", f"kill -STOP {workers[0]}")
    served.machine.wait_until(lambda: workers[0] not in served.workers(), "the worker that hangs is gone")
    served.machine.wait_until(lambda: len(served.workers()) == len(workers), "there is another")
    served.send("after a worker hung")
    assert served.pid() == pid


def test_a_supervisor_that_hangs_is_replaced_by_systemd(served: Served) -> None:
    pid, restarts = served.pid(), int(served.machine.show("NRestarts"))
    served.machine.run("sh", "-c", f"kill -STOP {pid}")
    served.machine.wait_until(lambda: int(served.machine.show("NRestarts")) > restarts, "systemd restarts it")
    served.machine.wait_until(lambda: served.machine.show("ActiveState") == "active", "it is ready")
    assert "Watchdog timeout" in served.machine.journal()
    served.send("after the supervisor hung")


def test_with_the_socket_unit_a_restart_refuses_nobody(served: Served) -> None:
    served.systemctl("stop", "relay")
    served.systemctl("enable", "--now", "relay.socket")
    served.systemctl("start", "relay")
    pid = served.pid()
    greeted, has_restarted = 0, threading.Event()

    def restart() -> None:
        served.systemctl("restart", "relay")
        has_restarted.set()

    restarting = threading.Thread(target=restart)
    restarting.start()
    while not has_restarted.is_set() or greeted == 0:
        with socket.create_connection(("127.0.0.1", 587), timeout=60) as one:  # refused: an error
            assert one.recv(3) in (b"220", b"421")
            greeted += 1
    restarting.join()
    assert served.pid() != pid
    served.send("through the sockets of systemd")
    # The socket unit and the first configuration are about the same addresses.
    assert "systemd listens on" not in served.machine.journal()
    assert "is bound by the relay" not in served.machine.journal()


def test_it_is_upgraded_and_goes(served: Served) -> None:
    machine = served.machine
    pid = served.pid()
    served.debian.package = newer(served.debian, "77.1")
    before = served.file.read_text()
    served.file.write_text(before + "[limits]\nrecipient = 50\n")
    assert "systemctl restart relay" in machine.run(
        "sh", "-c", f"dpkg --force-unsafe-io -i {served.debian.package} 2>&1"
    )
    assert served.pid() == pid
    served.send("the version before runs on")

    served.file.write_text(before)
    machine.run("/var/lib/dpkg/info/relay.postinst", "configure", "77.0")  # an upgrade's last step
    assert served.pid() != pid
    assert "version=77.1" in machine.journal()
    served.send("the new version runs")

    machine.run("dpkg", "--purge", "relay")
    assert machine.show("ActiveState") == "inactive"
    assert machine.show("LoadState") == "not-found"
    assert not served.debian.path("/var/spool/relay").exists()
    with pytest.raises(ConnectionRefusedError):
        smtplib.SMTP("127.0.0.1", 587, timeout=60)
