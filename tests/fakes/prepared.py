"""What relays in tests start from: names, ports that are held, and a prepared set of keys and accounts.

``prepare`` takes about a second, mostly for RSA keys; do it once a session and copy its folder.
"""

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from relay.daemon import first
from relay.daemon.demo import verify
from relay.daemon.settings import config
from relay.daemon.translate import load_service_keys
from relay.directory import keys
from relay.directory.store import Directory

ACCOUNT, DOMAIN, HOSTNAME = "tests", "sender.example", "relay.test.example"
SENDER = f"app@{DOMAIN}"
SHARED_FILES = ("relay.key", "tls.key", "tls.crt", "service.pem", "directory.db")


def wait_until(is_true: Callable[[], Any], what: str, timeout_s: float = 30.0, pause_s: float = 0.02) -> Any:
    """The first true answer; an AssertionError that names ``what`` if none comes in time."""
    deadline = time.monotonic() + timeout_s
    while not (answer := is_true()):
        assert time.monotonic() < deadline, f"not within {timeout_s:g} s: {what}"
        time.sleep(pause_s)
    return answer


class Port:
    """A port of loopback that nobody else gets: bound, not listening, and open to our own program."""

    def __init__(self, host: str = "127.0.0.1", number: int = 0) -> None:
        self._socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
            self._socket.setsockopt(socket.SOL_SOCKET, option, 1)
        self._socket.bind((host, number))
        self.number: int = self._socket.getsockname()[1]

    def free(self) -> None:
        self._socket.close()


class Ports:
    """The ports of one relay."""

    def __init__(self) -> None:
        self.starttls, self.wrapper, self.metrics = Port(), Port(), Port()
        self.trusted = Port()  # no TLS, no AUTH: loopback is trusted to send for the account
        self.proxied = Port()  # loopback is the proxy
        self.far_proxied = Port()  # the proxy is somewhere else

    def free(self) -> None:
        for port in vars(self).values():
            port.free()


def configuration(ports: Ports, *, delivery: str, limits: str, workers: str, more: str) -> str:
    """The tables that a test adds to a first configuration; the arguments are lines of these."""
    return f"""
[[listener]]
address = "127.0.0.1:{ports.trusted.number}"
tls = "none"
auth = "none"
trusted_networks = ["127.0.0.0/8"]
account = "{ACCOUNT}"
[[listener]]
address = "127.0.0.1:{ports.proxied.number}"
proxy_protocol = true
proxy_networks = ["127.0.0.1/32"]
[[listener]]
address = "127.0.0.1:{ports.far_proxied.number}"
proxy_protocol = true
proxy_networks = ["192.0.2.1/32"]
[delivery]
private_addresses = "allow"
retry_jitter = 0.0
site_retry = "200ms"
site_retry_max = "400ms"
{delivery}
[limits]
{limits}
[workers]
{workers}
{more}"""


@dataclass(frozen=True)
class Prepared:
    """What takes long to make and may be copied."""

    folder: Path
    username: str
    secret: str
    password: str


def prepare(folder: Path) -> Prepared:
    """Keys, certificate, and a directory with an account, a verified domain and a credential."""
    first.make(folder, first.Choices(HOSTNAME))
    settings = config.load(folder / "relay.toml")
    directory = open_directory(settings)
    directory.accounts.create(ACCOUNT, f"postmaster@{DOMAIN}", max_send_rate=-1, max_24_hours=-1)
    directory.identities.add(ACCOUNT, DOMAIN, algorithms=(keys.RSA, keys.ED25519), is_verified=True)
    made = directory.credentials.create(ACCOUNT)
    directory.close()
    return Prepared(folder, made.smtp_username, made.secret, made.smtp_password)


def open_directory(settings: config.Config) -> Directory:
    section = settings.directory
    return Directory(section.url, section.key_file, section.region)


def signatures(settings: config.Config, content: bytes) -> dict[str, bool]:
    """Per signing domain: whether dkimpy verifies its signatures against the records to publish."""
    directory = open_directory(settings)
    signing = (*directory.identities.signing_keys(DOMAIN, ACCOUNT), *load_service_keys(settings))
    directory.close()
    found: dict[str, bool] = {}
    for signer, is_good in verify(content, {key.record_name: keys.public_record(key) for key in signing}):
        domain = signer.partition("/")[0]
        found[domain] = found.get(domain, True) and is_good
    return found


def message(subject: str = "test", sender: str = SENDER, to: str = "someone@receiver.example") -> bytes:
    """A small message; its subject is what the receiver is asked about."""
    return f"From: {sender}\r\nTo: {to}\r\nSubject: {subject}\r\n\r\nHello {subject}\r\n".encode()


def is_alive(pid: int) -> bool:
    """Whether a process exists and has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
