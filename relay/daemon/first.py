"""A first configuration: what ``relay init`` writes into a folder, so that ``relay run`` works at once.

Made at run time and never overwritten: a key file, a certificate that signs itself, a DKIM key of the service
domain, the directory, and ``relay.toml`` with only the settings that a site decides; ``conf/relay.toml``
explains the rest. Secrets are 0600; with ``user`` they belong to that user, who can then read them after root
was dropped. Where keys and directory are, and where the spool, is the caller's choice: /etc holds neither.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import pwd
import socket
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from relay.base.clock import SystemClock
from relay.base.errors import ConfigError
from relay.daemon import upgrades
from relay.directory import keys, secrets
from relay.directory.store import Directory

_DAYS = 825

_TEMPLATE = """\
# Made by `relay init`. Every other setting, with its unit, default and reason: conf/relay.toml.
# `relay config check` reads this file and says what is wrong with it; `relay reload` takes it over.

[relay]
hostname = "{hostname}"{user}

[[listener]]              # clients that speak STARTTLS and log in
address = {starttls}
tls = "starttls"

[[listener]]              # clients that speak TLS from the first byte and log in
address = {wrapper}
tls = "wrapper"

[tls]                     # signs itself; put a certificate of your CA here, then `relay reload`
certificate = "tls.crt"
private_key = "tls.key"

[spool]
path = "{spool}"

[directory]
key_file = "{key_file}"

[signing]                 # every message is signed for this domain too
service_domain = "{hostname}"

[[signing.service_key]]
selector = "service"
file = "service.pem"

[metrics]
listen = "{metrics}"
"""


@dataclass(frozen=True, slots=True)
class Choices:
    """What the site decides."""

    hostname: str
    starttls: tuple[str, ...] = ("0.0.0.0:587", "[::]:587")
    wrapper: tuple[str, ...] = ("0.0.0.0:465", "[::]:465")
    metrics: str = "127.0.0.1:9125"
    more: str = ""  # TOML to append
    state: Path | None = None  # key file and directory; None: with the configuration
    spool: Path | None = None  # None: "spool" beside the configuration
    user: str = ""  # to whom what is made belongs, and as whom the relay runs


def all_addresses() -> tuple[str, ...]:
    """What to listen on for everyone who can reach this machine: IPv6 only where it has any."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::", 0))
    except OSError:
        return ("0.0.0.0",)  # noqa: S104
    return ("0.0.0.0", "[::]")  # noqa: S104


def make(folder: Path, choices: Choices) -> Path:
    """Write a first configuration into the folder; returns the path of its ``relay.toml``.

    Raises ConfigError if there is one already, or the user cannot be had.
    """
    file = folder / "relay.toml"
    if file.exists():
        raise ConfigError(f"{file} exists; change it, or name another folder")
    owner = _owner(choices.user)
    state = choices.state or folder
    spool = choices.spool or folder / "spool"
    for one in (folder, state):
        one.mkdir(mode=0o750, parents=True, exist_ok=True)
    spool.mkdir(mode=0o710, parents=True, exist_ok=True)
    key_file = state / "relay.key"
    if not key_file.exists():
        secrets.create_key_file(key_file)
    if not (folder / "tls.key").exists():
        _make_certificate(folder, choices.hostname)
    if not (folder / "service.pem").exists():
        _write_secret(folder / "service.pem", keys.generate(keys.RSA))
    directory = Directory(f"sqlite:///{state.absolute() / 'directory.db'}", key_file, "us-east-1")
    upgrades.check_directory(state.absolute() / "directory.db", SystemClock().now())
    directory.migrate()
    directory.close()
    text = _TEMPLATE.format(
        hostname=choices.hostname,
        user=f'\nuser = "{choices.user}"' if choices.user else "",
        starttls=_array(choices.starttls),
        wrapper=_array(choices.wrapper),
        spool=choices.spool or "spool",
        key_file=key_file if choices.state else "relay.key",
        metrics=choices.metrics,
    )
    file.write_text(text + choices.more)
    if owner is not None:
        _give(owner, folder, state, spool)
    return file


def _owner(user: str) -> pwd.struct_passwd | None:
    if not user:
        return None
    try:
        found = pwd.getpwnam(user)
    except KeyError:
        raise ConfigError(
            f"no user {user!r}; make it: useradd --system --user-group --home-dir /var/lib/relay {user}"
        ) from None
    if os.geteuid() not in (0, found.pw_uid):
        raise ConfigError(f"only root can give files to {user!r}")
    return found


def _give(owner: pwd.struct_passwd, folder: Path, state: Path, spool: Path) -> None:
    """State, spool and secrets to the user; the configuration stays ours, and its group may read it."""
    for mode, one in ((0o750, folder), (0o640, folder / "relay.toml"), (0o644, folder / "tls.crt")):
        os.chown(one, -1, owner.pw_gid)
        one.chmod(mode)
    mine = [state, spool, folder / "tls.key", folder / "service.pem", state / "relay.key"]
    for one in [*mine, *state.glob("directory.db*")]:
        os.chown(one, owner.pw_uid, owner.pw_gid)


def _array(values: tuple[str, ...]) -> str:
    return "[" + ", ".join(f'"{value}"' for value in values) + "]"


def _write_secret(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)


def _make_certificate(folder: Path, hostname: str) -> None:
    """A certificate for the host name and loopback that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hostname[:64])])
    now = datetime.datetime.fromtimestamp(SystemClock().now(), datetime.UTC)
    names: list[x509.GeneralName] = [x509.DNSName(one) for one in dict.fromkeys((hostname, "localhost"))]
    names += [x509.IPAddress(ipaddress.ip_address(one)) for one in ("127.0.0.1", "::1")]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=_DAYS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "tls.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write_secret(folder / "tls.key", pem)
