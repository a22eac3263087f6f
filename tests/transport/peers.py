"""Mail servers to talk to: a scripted one in this process, and Postfix's smtp-sink in one of its own."""

import asyncio
import datetime
import ipaddress
import shutil
import socket
import ssl
from contextlib import asynccontextmanager

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from relay.base.message import Attempt, Message, Recipient
from relay.base.route import Host, Route, TlsMode
from tests.fakes.sink import DROP, SILENT, Sink

__all__ = ["BODY", "DROP", "SILENT", "ScriptedPeer", "certificate", "free_port", "make_attempt", "smtp_sink"]

BODY = b"From: a@example.org\r\nSubject: hello\r\n\r\nhello\r\n"


class ScriptedPeer(Sink):
    """The scripted sink, and the route to it."""

    def host(self, name="127.0.0.1", preference=0):
        return Host(name, self.port, preference)

    def route(self, tls=TlsMode.OPPORTUNISTIC, name="127.0.0.1", **more):
        return Route(f"hop:{name}", (self.host(name),), tls, **more)


def make_attempt(*addresses, content=BODY, sender="a@example.org", site="hop:127.0.0.1", **more):
    recipients = [
        Recipient(number, address, address.rpartition("@")[2])
        for number, address in enumerate(addresses or ("bob@example.net",))
    ]
    message = Message(
        "0000019a8c3b1f20-00000000-0000-4000-8000-000000000000-000001",
        1, 1, sender, recipients, len(content) if content else 0, 0.0, 0.0, content, **more,
    )  # fmt: skip
    return Attempt(message, recipients, site)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@asynccontextmanager
async def smtp_sink(*options):
    """Postfix's smtp-sink on a port of its own; yields the port."""
    program = shutil.which("smtp-sink", path="/usr/sbin:/usr/bin")
    assert program is not None
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        program, "-4", "-u", "nobody", *options, f"127.0.0.1:{port}", "50"
    )
    try:
        for _ in range(1000):
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.01)
                continue
            writer.transport.abort()
            break
        yield port
    finally:
        process.kill()
        await process.wait()


def certificate(directory, *names):
    """A self-made CA-less certificate for names; returns (server context, CA file)."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "peer")])
    now = datetime.datetime.now(datetime.UTC)
    alternatives = [
        x509.IPAddress(ipaddress.ip_address(n)) if n[0].isdigit() else x509.DNSName(n) for n in names
    ]
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(alternatives), False)
        .add_extension(x509.BasicConstraints(True, None), True)
        .sign(key, hashes.SHA256())
    )
    certificate_file = directory / "peer.pem"
    key_file = directory / "peer.key"
    certificate_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate_file, key_file)
    return context, str(certificate_file)
