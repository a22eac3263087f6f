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

DROP = "drop"  # close without a word
SILENT = "silent"  # say nothing

BODY = b"From: a@example.org\r\nSubject: hello\r\n\r\nhello\r\n"


class ScriptedPeer:
    """Answers commands from a table; what is not in it gets the ordinary reply.

    ``replies`` maps "GREETING", "EHLO", "MAIL", "RCPT", "DATA", "." ... to a reply (text, or bytes as they
    are), DROP, SILENT, or a list of these, one for each time. "RCPT bob@example.net" stands before "RCPT".
    """

    def __init__(
        self, replies=None, extensions=("PIPELINING", "8BITMIME", "SIZE 10000000"), tls=None, wrapper=False
    ):
        self.replies = dict(replies or {})
        self.extensions = list(extensions)
        self.tls = tls
        self.wrapper = wrapper
        self.bytewise = False
        self.commands = []
        self.messages = []
        self.connections = 0
        self.live = 0
        self.tls_sessions = 0
        self.server_names = []
        self._writers = {}

    async def __aenter__(self):
        if self.tls is not None:
            self.tls.sni_callback = lambda _obj, name, _context: self.server_names.append(name)
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", 0, limit=2**26, ssl=self.tls if self.wrapper else None
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._server.close()
        for writer, task in list(self._writers.items()):
            writer.transport.abort()
            task.cancel()
        while self.live:
            await asyncio.sleep(0)
        await asyncio.sleep(0)

    def host(self, name="127.0.0.1", preference=0):
        return Host(name, self.port, preference)

    def route(self, tls=TlsMode.OPPORTUNISTIC, name="127.0.0.1", **more):
        return Route(f"hop:{name}", (self.host(name),), tls, **more)

    def _reply(self, key, ordinary):
        reply = self.replies.get(key, ordinary)
        if isinstance(reply, list):
            reply = reply.pop(0) if reply else ordinary
        return reply

    async def _say(self, writer, reply):
        """False if the connection is to be closed."""
        if reply == DROP:
            return False
        if reply != SILENT:
            wire = reply if isinstance(reply, bytes) else reply.encode() + b"\r\n"
            if self.bytewise:
                for byte in wire:
                    writer.write(bytes([byte]))
                    await writer.drain()
                    await asyncio.sleep(0)
            else:
                writer.write(wire)
            if wire.startswith(b"421"):
                return False
        return True

    async def _serve(self, reader, writer):
        self.connections += 1
        self.live += 1
        self._writers[writer] = asyncio.current_task()
        if self.wrapper:
            self.tls_sessions += 1
        try:
            await self._converse(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._writers.pop(writer, None)
            writer.close()
            self.live -= 1

    async def _converse(self, reader, writer):
        if not await self._say(writer, self._reply("GREETING", "220 peer.example ESMTP")):
            return
        while line := (await reader.readline()).decode("utf-8", "replace").rstrip("\r\n"):
            self.commands.append(line)
            verb = line.split(" ")[0].upper()
            if verb == "EHLO":
                offers = ["peer.example", *self.extensions]
                if self.tls is not None and writer.get_extra_info("sslcontext") is None:
                    offers.append("STARTTLS")
                reply = self._reply(
                    "EHLO",
                    "\r\n".join(f"250-{offer}" for offer in offers[:-1]) + f"\r\n250 {offers[-1]}"
                    if len(offers) > 1
                    else "250 peer.example",
                )
            elif verb == "STARTTLS":
                reply = self._reply("STARTTLS", "220 go ahead")
                if not await self._say(writer, reply):
                    return
                if reply[:3] in ("220", b"220") and reply != SILENT:
                    clear = writer.transport
                    await writer.start_tls(self.tls)
                    if writer.transport is None:  # the client went away in between
                        writer._transport = clear
                        return
                    self.tls_sessions += 1
                continue
            elif verb == "RCPT":
                address = line.partition("<")[2].partition(">")[0]
                reply = self._reply(f"RCPT {address}", self._reply("RCPT", "250 2.1.5 Ok"))
            elif verb == "DATA":
                reply = self._reply("DATA", "354 go on")
                if not await self._say(writer, reply):
                    return
                if (reply if isinstance(reply, bytes) else reply.encode()).startswith(b"354"):
                    message = await reader.readuntil(b"\r\n.\r\n")
                    self.messages.append(message[:-3])
                    if not await self._say(writer, self._reply(".", "250 2.0.0 Ok: queued as 1")):
                        return
                continue
            elif verb == "QUIT":
                reply = self._reply("QUIT", "221 bye")
                await self._say(writer, reply)
                return
            else:
                reply = self._reply(verb, "250 2.1.0 Ok")
            if not await self._say(writer, reply):
                return


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
