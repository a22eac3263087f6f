"""Questions to name servers on loopback that answer, lie, refuse, are silent, or are not there."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from relay.codec.dns_message import KINDS, name_of
from relay.transport import dns_exchange
from relay.transport.dns_exchange import DnsExchange, DnsTrouble
from tests.fakes.dns import SILENT, FakeDns

NAME, MX = name_of("example.net"), KINDS["MX"]
ZONE = {"example.net": {"MX": ["10 mx1.example.net."]}}
FOUND = ((10, "mx1.example.net"),)


def at(server: FakeDns) -> tuple[str, int]:
    return "127.0.0.1", server.port


Make = Callable[[bytes], list[bytes]]


class Peer(asyncio.DatagramProtocol):
    """Sends what ``make`` makes of the right answer."""

    def __init__(self, right: FakeDns, make: Make) -> None:
        self.right, self.make = right, make
        self.asked: list[tuple[int, int]] = []  # from which port, with which id

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, received: bytes, address: Any) -> None:
        self.asked.append((address[1], int.from_bytes(received[:2])))
        self.right.spawn(self.reply(received, address))

    async def reply(self, received: bytes, address: Any) -> None:
        reply = await self.right.answer(received, "udp")
        for one in self.make(reply or b""):
            self.transport.sendto(one, address)


@asynccontextmanager
async def peer(make: Make, port: int = 0) -> AsyncIterator[tuple[Peer, tuple[str, int]]]:
    """One that listens, and where."""
    async with FakeDns(ZONE) as right:
        transport, made = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: Peer(right, make), local_addr=("127.0.0.1", port)
        )
        yield made, transport.get_extra_info("sockname")
        transport.close()
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    "forge",
    [
        lambda right: [bytes([right[0] ^ 1]) + right[1:].replace(b"mx1", b"bad"), right],
        lambda right: [right.replace(b"\x07example", b"\x07elsmape"), right],
        lambda right: [b"", right[:30], right],
    ],
    ids=["another id", "another name", "damage"],
)
async def test_what_is_no_answer_is_passed_over(forge: Callable[[bytes], list[bytes]]) -> None:
    async with peer(forge) as (made, server):
        assert (await DnsExchange([server], 60.0).ask(NAME, MX)).records == FOUND
        assert len(made.asked) == 1


async def test_every_question_has_a_port_and_an_id_of_its_own() -> None:
    async with peer(lambda right: [right]) as (made, server):
        exchange = DnsExchange([server], 60.0)
        await asyncio.gather(*(exchange.ask(NAME, MX) for _ in range(20)))
    assert len({port for port, _ in made.asked}) > 15
    assert len({id_ for _, id_ in made.asked}) > 15


async def test_what_is_too_long_for_a_datagram_comes_over_tcp() -> None:
    zone = {"example.net": {"MX": [f"{n} mx{n}.example.net." for n in range(100)], "truncated": True}}
    async with FakeDns(zone) as server:
        assert len((await DnsExchange([at(server)], 60.0).ask(NAME, MX)).records) == 100
        assert [over for _, _, over in server.asked] == ["udp", "tcp"]


async def test_the_next_server_is_asked_where_one_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dns_exchange, "_RESEND_S", 0.05)
    async with FakeDns({"example.net": SILENT}) as silent, FakeDns(ZONE) as other:
        reply = await DnsExchange([at(silent), at(other)], 60.0).ask(NAME, MX)
        assert reply.records == FOUND
        assert len(silent.asked) == 1


@pytest.mark.parametrize("rcode", ["SERVFAIL", "REFUSED", "FORMERR"])
async def test_a_server_that_refuses_is_not_asked_again(rcode: str) -> None:
    async with FakeDns({"example.net": rcode}) as one, FakeDns(ZONE) as other:
        assert (await DnsExchange([at(one), at(other)], 60.0).ask(NAME, MX)).records == FOUND
        with pytest.raises(DnsTrouble, match=rcode):
            await DnsExchange([at(one)], 60.0).ask(NAME, MX)
        assert len(one.asked) == 2


async def test_a_server_that_comes_back_is_heard() -> None:
    async with FakeDns(ZONE) as gone:
        port = gone.port
    asking = asyncio.ensure_future(DnsExchange([("127.0.0.1", port)], 60.0).ask(NAME, MX))
    await asyncio.sleep(0)
    async with peer(lambda right: [right], port):
        assert (await asking).records == FOUND


async def test_no_server_in_time_is_trouble_that_names_it() -> None:
    async with FakeDns({"example.net": SILENT}) as silent:
        with pytest.raises(DnsTrouble, match=f"127.0.0.1 port {silent.port} did not answer"):
            await DnsExchange([at(silent)], 0.1).ask(NAME, MX)
    with pytest.raises(DnsTrouble, match="refused"):
        await DnsExchange([at(silent)], 0.1).ask(NAME, MX)
    with pytest.raises(DnsTrouble, match="no name server"):
        await DnsExchange([], 0.1).ask(NAME, MX)


async def test_who_is_cancelled_leaves_no_socket_behind() -> None:
    async with FakeDns({"example.net": SILENT}) as silent:
        asking = asyncio.ensure_future(DnsExchange([at(silent)], 60.0).ask(NAME, MX))
        while not silent.asked:
            await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
