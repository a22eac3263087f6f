"""HTTPS to hosts that strangers name: what is verified, which addresses are tried, and what is a failure."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from relay.transport.answers import Answer, Status
from relay.transport.https import Https, HttpsAnswer, HttpsFailure
from tests.fakes.authority import Authority
from tests.fakes.prepared import Port
from tests.fakes.web_server import POLICY_PATH, WebServer

HOST = "mta-sts.receiver.example"


class Names:
    """Every name leads to these addresses."""

    def __init__(self, *addresses: str) -> None:
        self._found = addresses or ("127.0.0.1",)

    async def addresses(self, host: str) -> Answer:
        return Answer(Status.FOUND, addresses=self._found)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def web(authority: Authority) -> Iterator[WebServer]:
    with WebServer(authority) as started:
        started.serve("receiver.example", b"hello", kind="Text/X; a=b")
        yield started


async def got(https: Https, port: int, limit: int = 5) -> HttpsAnswer | HttpsFailure:
    return await https.ask("GET", HOST, port, POLICY_PATH, limit)


async def test_an_answer(web: WebServer, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # not used
    https = Https(Names(), str(authority.file), True)
    assert await got(https, web.port) == HttpsAnswer(200, "text/x", b"hello")
    assert await https.ask("GET", HOST, web.port, "/", 9000) != HttpsAnswer(200, "text/x", b"hello")
    assert [host for host, _ in web.asked] == [HOST, HOST]


async def test_too_long_an_answer(web: WebServer, authority: Authority) -> None:
    assert await got(Https(Names(), str(authority.file), True), web.port, 4) == HttpsFailure(
        f"{HOST}: longer than 4 bytes"
    )


async def test_the_systems_authorities_do_not_know_a_test(web: WebServer) -> None:
    failure = await got(Https(Names(), "", True), web.port)
    assert isinstance(failure, HttpsFailure)
    assert failure.is_distrust


async def test_no_server(authority: Authority) -> None:
    port = Port()
    try:
        failure = await got(Https(Names(), str(authority.file), True), port.number)
    finally:
        port.free()
    assert isinstance(failure, HttpsFailure)
    assert "[127.0.0.1]" in failure.detail
    assert not failure.is_distrust


async def test_the_next_address_where_one_does_not_answer(web: WebServer, authority: Authority) -> None:
    https = Https(Names("127.0.0.9", "127.0.0.1"), str(authority.file), True)
    assert isinstance(await got(https, web.port), HttpsAnswer)


async def test_addresses_that_are_not_of_the_internet(web: WebServer, authority: Authority) -> None:
    failure = await got(Https(Names(), str(authority.file), False), web.port)
    assert isinstance(failure, HttpsFailure)
    assert "not of the Internet" in failure.detail
    assert web.asked == []


async def test_another_ca_file_after_forget(web: WebServer, authority: Authority, tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    ca_file.write_bytes(Authority(tmp_path, "Other CA").file.read_bytes())
    https = Https(Names(), str(ca_file), True)
    assert isinstance(await got(https, web.port), HttpsFailure)
    ca_file.write_bytes(authority.file.read_bytes())
    assert isinstance(await got(https, web.port), HttpsFailure)
    https.forget()
    assert isinstance(await got(https, web.port), HttpsAnswer)


async def test_a_ca_file_that_is_none(web: WebServer, tmp_path: Path) -> None:
    failure = await got(Https(Names(), str(tmp_path / "none.pem"), True), web.port)
    assert isinstance(failure, HttpsFailure)
    assert "none.pem" in failure.detail
