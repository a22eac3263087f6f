"""A DNS server on loopback, UDP and TCP on one port, that answers from a dict.

    async with FakeDns({
        "example.net": {"MX": ["10 mx1.example.net."]},        # records in zone file form
        "mx1.example.net": {"A": ["127.0.0.1"], "AAAA": ["::1"]},
        "alias.example": {"CNAME": ["example.net."]},          # followed within the dict, as a resolver does
        "broken.example": "SERVFAIL",                          # any rcode by name
        "silent.example": SILENT,
        "many.example": {"MX": [...], "truncated": True},      # UDP says TC, TCP has the records
        "short.example": {"MX": [...], "ttl": 5},
        "no-mail.example": {"MX": ["0 ."]},
        "signed.example": {"A": [...], "secure": True},        # AD, if it is asked for (RFC 6840 5.7)
    }) as dns:
        dns.address    # "127.0.0.1:40001"
        dns.asked      # [("example.net", "MX", "udp"), ...]

Names that are not in the dict do not exist (NXDOMAIN, with an SOA whose minimum is ``negative_ttl``). Change
``dns.zone`` while it runs. ``dns.release`` is an Event: clear it to hold all answers back.
"""

import asyncio
from typing import Any

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

SILENT = "silent"
_TTL_S = 300


class FakeDns:
    def __init__(self, zone: dict[str, Any] | None = None, negative_ttl: int = 60) -> None:
        self.zone: dict[str, Any] = zone or {}
        self.negative_ttl = negative_ttl
        self.asked: list[tuple[str, str, str]] = []
        self.release = asyncio.Event()
        self.release.set()
        self.port = 0
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def __aenter__(self) -> "FakeDns":
        loop = asyncio.get_running_loop()
        for _ in range(20):
            self._server = await asyncio.start_server(self._serve_tcp, "127.0.0.1", 0)
            self.port = self._server.sockets[0].getsockname()[1]
            try:
                self._udp, _ = await loop.create_datagram_endpoint(
                    lambda: _Datagrams(self), local_addr=("127.0.0.1", self.port)
                )
                return self
            except OSError:  # someone has the UDP port of that number
                self._server.close()
        raise OSError("no port that is free for both UDP and TCP")

    async def __aexit__(self, *_: object) -> None:
        self._udp.close()
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)  # let the transports say connection_lost

    def spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def answer(self, wire: bytes, over: str) -> bytes | None:
        query = dns.message.from_wire(wire)
        question = query.question[0]
        kind = dns.rdatatype.to_text(question.rdtype)
        name = question.name.to_text(omit_final_dot=True).lower()
        self.asked.append((name, kind, over))
        await self.release.wait()
        response = dns.message.make_response(query, recursion_available=True)
        is_secure = bool(query.flags & dns.flags.AD)
        for _ in range(9):
            entry = self.zone.get(name)
            if entry == SILENT:
                return None
            if entry is None:
                response.set_rcode(dns.rcode.NXDOMAIN)
                break
            if isinstance(entry, str):
                response.set_rcode(dns.rcode.from_text(entry))
                return response.to_wire()
            if entry.get("truncated") and over == "udp":
                response.flags |= dns.flags.TC
                return response.to_wire()
            ttl = entry.get("ttl", _TTL_S)
            is_secure = is_secure and entry.get("secure", False)
            if kind in entry:
                response.answer.append(dns.rrset.from_text(f"{name}.", ttl, "IN", kind, *entry[kind]))
                response.flags |= dns.flags.AD if is_secure else 0
                return response.to_wire(max_size=65535)
            if "CNAME" not in entry:
                break
            response.answer.append(dns.rrset.from_text(f"{name}.", ttl, "IN", "CNAME", *entry["CNAME"]))
            name = entry["CNAME"][0].rstrip(".").lower()
        soa = f"ns. root. 1 3600 600 86400 {self.negative_ttl}"
        response.authority.append(dns.rrset.from_text(".", self.negative_ttl, "IN", "SOA", soa))
        return response.to_wire()

    async def _serve_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                size = int.from_bytes(await reader.readexactly(2))
                reply = await self.answer(await reader.readexactly(size), "tcp")
                if reply is not None:
                    writer.write(len(reply).to_bytes(2) + reply)
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: FakeDns) -> None:
        self._server = server

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, received: bytes, address: Any) -> None:
        self._server.spawn(self._reply(received, address))

    async def _reply(self, received: bytes, address: Any) -> None:
        reply = await self._server.answer(received, "udp")
        if reply is not None:
            self._transport.sendto(reply, address)
