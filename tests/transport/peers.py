"""Mail servers to talk to: a scripted one in this process, and Postfix's smtp-sink in one of its own."""

import asyncio
import shutil
import ssl
from contextlib import asynccontextmanager

from relay.base.message import Attempt, Message, Recipient
from relay.base.route import Host, Route, TlsMode
from tests.fakes.certificate import make_pair
from tests.fakes.prepared import Port
from tests.fakes.sink import DROP, SILENT, Sink

__all__ = ["BODY", "DROP", "SILENT", "ScriptedPeer", "certificate", "make_attempt", "smtp_sink"]

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


@asynccontextmanager
async def smtp_sink(*options):
    """Postfix's smtp-sink on a port of its own; yields the port."""
    program = shutil.which("smtp-sink", path="/usr/sbin:/usr/bin")
    assert program is not None
    held = Port()
    port = held.number
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
        held.free()


def certificate(directory, *names):
    """A certificate for names that signs itself; returns (server context, CA file)."""
    chain_file, key_file = make_pair(directory, *names)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain_file, key_file)
    return context, str(chain_file)
