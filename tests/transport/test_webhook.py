"""Posts to real HTTPS servers, and what comes of them."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from relay.base.errors import ConfigError
from relay.transport.answers import Answer, Status
from relay.transport.webhook import Posted, Webhooks
from tests.fakes.authority import Authority
from tests.fakes.endpoint import Endpoint, Post


class Names:
    """The DNS, as far as the test says."""

    def __init__(self) -> None:
        self.known: dict[str, tuple[str, ...]] = {}

    async def addresses(self, host: str) -> Answer:
        if host not in self.known:
            return Answer(Status.NO_DOMAIN, detail="no such domain")
        return Answer(Status.FOUND, addresses=self.known[host])


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def names() -> Names:
    return Names()


@pytest.fixture
async def webhooks(authority: Authority, names: Names) -> AsyncIterator[Webhooks]:
    async with AsyncExitStack() as stack:
        made = Webhooks(names, str(authority.file), is_private_allowed=True)
        await made.start(stack)
        yield made


@pytest.fixture
def endpoint(authority: Authority) -> Iterator[Endpoint]:
    with Endpoint(authority) as made:
        yield made


async def test_a_post_arrives_and_its_connection_is_used_again(
    webhooks: Webhooks, endpoint: Endpoint
) -> None:
    for number in range(3):
        posted = await webhooks.post(endpoint.url, b"%d" % number, {"X-A": "b"})
        assert (posted.status, posted.is_taken) == (200, True)
    assert [post.body for post in endpoint.taken] == [b"0", b"1", b"2"]
    assert endpoint.taken[0].headers["x-a"] == "b"
    assert endpoint.connections == 1


@pytest.mark.parametrize(
    ("fate", "status", "said"),
    [(500, 500, "500 "), (302, 302, "302 "), (404, 404, "404 "), ("redirect", 302, "302 "), ("close", 0, "")],
)
async def test_only_2xx_is_taken_and_no_redirect_is_followed(
    webhooks: Webhooks, endpoint: Endpoint, fate: int | str, status: int, said: str
) -> None:
    endpoint.fate = lambda post: fate
    posted = await webhooks.post(endpoint.url, b"x", {})
    assert (posted.status, posted.is_taken) == (status, False)
    assert posted.said.startswith(said)
    assert posted.said
    assert {post.path for post in endpoint.seen} == {"/hook"}


async def test_what_is_said_is_one_line_that_can_be_printed(webhooks: Webhooks) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"x")
        writer.write(b"HTTP/1.1 503 Busy\r\nContent-Length: 10\r\n\r\n\x1b[2J\r\nno\x00\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        posted = await webhooks.post(f"http://127.0.0.1:{port}/", b"x", {})
    assert posted == Posted(503, "503 Busy [2J no")


async def test_one_that_does_not_answer_in_time_took_nothing(webhooks: Webhooks, endpoint: Endpoint) -> None:
    webhooks.timeout_s = 0.05
    endpoint.fate = lambda post: "hang"
    assert await webhooks.post(endpoint.url, b"x", {}) == Posted(0, "no answer within 0.05 s")


async def test_a_certificate_must_verify_for_the_name(webhooks: Webhooks, tmp_path: Path) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    good = Authority(tmp_path)
    for made, said in (
        (Endpoint(Authority(folder, "Other CA")), "certificate: "),
        (Endpoint(good, name="other.example"), "certificate: "),
        (Endpoint(good, age_days=9), "certificate: "),
    ):
        with made as endpoint:
            posted = await webhooks.post(endpoint.url, b"x", {})
            assert posted.status == 0
            assert posted.said.startswith(said)
            assert endpoint.seen == []


async def test_where_nobody_listens_that_is_said(webhooks: Webhooks, endpoint: Endpoint) -> None:
    endpoint.stop()
    posted = await webhooks.post(endpoint.url, b"x", {})
    assert posted.status == 0
    assert "connect" in posted.said.lower()


async def test_names_are_looked_up_by_our_own_resolver(
    webhooks: Webhooks, authority: Authority, names: Names
) -> None:
    names.known["hook.example"] = ("127.0.0.1",)
    with Endpoint(authority, name="hook.example") as endpoint:
        url = endpoint.url.replace("127.0.0.1", "hook.example")
        assert (await webhooks.post(url, b"x", {})).is_taken
        assert "no such domain" in (await webhooks.post(url.replace("hook.", "no."), b"x", {})).said


@pytest.mark.parametrize("host", ["127.0.0.1", "hook.example", "[::1]", "10.0.0.1"])
async def test_addresses_of_our_own_network_are_refused_unless_allowed(
    authority: Authority, names: Names, endpoint: Endpoint, host: str
) -> None:
    names.known["hook.example"] = ("127.0.0.1",)
    async with AsyncExitStack() as stack:
        guarded = Webhooks(names, str(authority.file))
        await guarded.start(stack)
        posted = await guarded.post(endpoint.url.replace("127.0.0.1", host), b"x", {})
    assert posted.status == 0
    assert '[notifications] private_addresses = "allow"' in posted.said
    assert endpoint.connections == 0


@pytest.mark.parametrize("host", ["127.0.0.1.", "127.1", "2130706433", "0177.0.0.1"])
async def test_what_only_some_libraries_take_for_an_address_is_not_connected_to(
    authority: Authority, names: Names, endpoint: Endpoint, host: str
) -> None:
    async with AsyncExitStack() as stack:
        guarded = Webhooks(names, str(authority.file))
        await guarded.start(stack)
        posted = await guarded.post(endpoint.url.replace("127.0.0.1", host), b"x", {})
    assert posted.status == 0
    assert "not an address of the Internet" in posted.said or "no name and no address" in posted.said
    assert endpoint.connections == 0


async def test_a_ca_file_that_is_none_names_the_setting(names: Names, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nonsense")
    async with AsyncExitStack() as stack:
        with pytest.raises(ConfigError, match="ca_file"):
            await Webhooks(names, str(tmp_path / "ca.pem")).start(stack)


async def test_while_our_event_loop_stands_still_nobody_is_late(
    webhooks: Webhooks, endpoint: Endpoint
) -> None:
    """An answer that came while we got no processor, for longer than it may take, is heard."""
    assert (await webhooks.post(endpoint.url, b"x", {})).is_taken
    loop = asyncio.get_running_loop()
    webhooks.timeout_s = 0.2

    def stand_still() -> None:
        endpoint.wait_for(lambda: len(endpoint.taken) == 2, "the second is taken")
        until = loop.time() + 2 * webhooks.timeout_s
        while loop.time() < until:
            pass

    def fate(_: Post) -> int:
        loop.call_soon_threadsafe(stand_still)
        return 200

    endpoint.fate = fate
    assert (await webhooks.post(endpoint.url, b"y", {})).is_taken
