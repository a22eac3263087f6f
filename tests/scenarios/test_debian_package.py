"""The life of the Debian package where no systemd runs: installed, used, upgraded, removed, purged."""

import fcntl
import json
import re
import smtplib
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from tests.fakes.prepared import DOMAIN, SENDER, Port, message, wait_until
from tests.scenarios.debian import HOSTNAME, Debian, newer
from tests.scenarios.receiver import Receiver

pytestmark = pytest.mark.timeout(600)

ACCOUNT = "shop"
CONFIGURATION, SPOOL = "/etc/relay/relay.toml", "/var/spool/relay"
WAITING = "this one waits for a relay"


class Installed:
    """The package in a folder, with ports of loopback that are this test's."""

    def __init__(self, debian: Debian) -> None:
        self.debian = debian
        self.ports = [Port(), Port(), Port()]
        self.file = debian.path(CONFIGURATION)

    def install(self) -> str:
        return self.debian.run("dpkg", "--force-unsafe-io", "-i", self.debian.package)

    def relay(self, *words: str, status: int = 0) -> str:
        return self.debian.run("relay", *words, status=status)

    def configure(self, next_hop: int) -> str:
        """What the administrator changes in a first configuration: ports, and where mail goes."""
        text = self.file.read_text()
        ways = (r'\["0.0.0.0:587".*\]', r'\["0.0.0.0:465".*\]', '"127.0.0.1:9125"')
        for way, port in zip(ways, self.ports, strict=True):
            text, count = re.subn(way, f'"127.0.0.1:{port.number}"', text)
            assert count == 1
        text += f"""
[delivery]
private_addresses = "allow"
resolver = "127.0.0.1:9"
retry_schedule = ["1s"]
[[route]]
domain = "*"
next_hop = "127.0.0.1:{next_hop}"
tls = "none"
"""
        self.file.write_text(text)
        return text

    def make_account(self) -> None:
        self.relay("account", "create", ACCOUNT, "--contact", f"postmaster@{DOMAIN}", "--rate", "unlimited")
        made = json.loads(self.relay("credential", "create", ACCOUNT, "--json"))
        self.login = (made["smtp_username"], made["smtp_password"])
        self.relay("identity", "add", ACCOUNT, DOMAIN, "--verified")

    @contextmanager
    def running(self) -> Iterator[None]:
        """The relay runs as the only program of a container, until the end of the block; it must end well."""
        words = self.debian.words("--kill-signal=SIGTERM", "--pipe", "relay", "run")
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, start_new_session=True)
        try:
            wait_until(lambda: self._answers(process), "the relay answers", 60)
            yield
        finally:
            process.terminate()
            try:
                assert process.wait(60) == 0
            finally:
                process.kill()
                process.wait(60)

    def _answers(self, process: "subprocess.Popen[bytes]") -> bool:
        assert process.poll() is None, "the relay has ended"
        with suppress(OSError), smtplib.SMTP("127.0.0.1", self.ports[0].number, timeout=10):
            return True
        return False

    def send(self, subject: str) -> None:
        trust = ssl.create_default_context(cafile=str(self.debian.path("/etc/relay/tls.crt")))
        with smtplib.SMTP("localhost", self.ports[0].number, timeout=30) as client:
            client.starttls(context=trust)
            client.login(*self.login)
            client.sendmail(SENDER, ["someone@receiver.example"], message(subject))


@pytest.fixture
def installed() -> Iterator[Installed]:
    with Debian() as debian:
        installed = Installed(debian)
        yield installed
        for port in installed.ports:
            port.free()


def _only_a_spool_of_nobody_may_go(debian: Debian) -> None:
    """What a purge asks for is not there while a relay runs that systemd did not start, nor beside mail that
    a restore has moved aside."""
    prerm, found = "/var/lib/dpkg/info/relay.prerm", debian.path("/var/lib/relay/nothing-waits")
    with debian.path(f"{SPOOL}/lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        debian.run(prerm, "remove")
        assert not found.exists()
    aside = debian.path(f"{SPOOL}/before-20260101T000000Z")
    aside.mkdir()
    debian.run(prerm, "remove")
    assert not found.exists()
    aside.rmdir()
    debian.run(prerm, "remove")
    assert found.exists()


def test_it_is_installed_used_upgraded_and_purged(installed: Installed, receiver: Receiver) -> None:
    debian = installed.debian
    said = installed.install()
    assert f"{CONFIGURATION} is a first configuration" in said
    assert f'hostname = "{HOSTNAME}"' in installed.file.read_text()
    assert debian.path("/etc/systemd/system/multi-user.target.wants/relay.service").is_symlink()
    needed = debian.run("find", "/opt/relay/lib", "-name", "*.so*", "-exec", "ldd", "{}", "+")
    assert "libc.so" in needed
    assert "not found" not in needed

    installed.make_account()
    configuration = installed.configure(receiver.port)
    installed.relay("config", "check")
    with installed.running():
        installed.send("first")
        content = receiver.wait_for("first").content
        assert f"d={DOMAIN};".encode() in content
        assert f"d={HOSTNAME};".encode() in content
    # Nothing was written where the package is: what was compiled is taken as it is.
    assert debian.run("dpkg", "--verify", "relay") == ""
    packed = set(debian.run("dpkg", "--listfiles", "relay").split())
    assert set(debian.run("find", "/opt/relay", "-type", "f").split()) <= packed

    debian.package = newer(debian, "77.1")
    installed.install()
    assert installed.relay("--version").strip() == "77.1"
    assert installed.file.read_text() == configuration
    with installed.running():
        installed.send("upgraded")
        receiver.wait_for("upgraded")
        receiver.is_mute = True
        installed.send(WAITING)
        wait_until(lambda: receiver.muted, "the receiver has all but the dot's answer")

    debian.run("dpkg", "--remove", "relay")
    assert not debian.path("/opt/relay").exists()
    assert not debian.path("/usr/bin/relay").is_symlink()
    assert installed.file.read_text() == configuration
    said = debian.run("sh", "-c", "dpkg --purge relay 2>&1")
    assert f"rm -r {SPOOL} " in said
    for gone in ("/etc/relay", "/var/lib/relay", "/etc/systemd/system/multi-user.target.wants/relay.service"):
        assert not debian.path(gone).is_symlink()
        assert not debian.path(gone).exists()
    assert debian.path(SPOOL).is_dir()

    receiver.is_mute = False
    installed.install()
    installed.configure(receiver.port)
    with installed.running():
        receiver.wait_for(WAITING)
    _only_a_spool_of_nobody_may_go(debian)
    debian.run("dpkg", "--purge", "relay")
    for gone in ("/opt/relay", "/etc/relay", "/var/lib/relay", SPOOL):
        assert not debian.path(gone).exists()
