"""The public page over HTTP: opening changes nothing, the button verifies once, nothing else is there."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from relay.base.errors import DirectoryError
from relay.base.tasks import Tasks
from relay.daemon.public import public_app
from relay.daemon.sockets import bind, listen
from relay.daemon.supervisor.http import HttpServer
from relay.directory.records import IdentityState
from relay.directory.secrets import create_key_file
from relay.directory.store import Directory
from tests.daemon.test_http import get
from tests.fakes.clock import ManualClock


@dataclass
class Site:
    directory: Directory
    clock: ManualClock
    address: tuple[str, int] = ("", 0)

    async def open(self, path: str, method: str = "GET") -> tuple[int, str]:
        status, _, body = await get(self.address, path, method)
        return status, body

    def link(self) -> str:
        standing = self.directory.life.standing("a+b@example.org")
        return "/verify/" + self.directory.life.make_link(standing, self.clock.now() + 86400)

    @property
    def state(self) -> IdentityState:
        return self.directory.life.standing("a+b@example.org").state


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[tuple[Directory, ManualClock]]:
    clock = ManualClock()
    create_key_file(tmp_path / "relay.key")
    directory = Directory(f"sqlite:///{tmp_path / 'd.db'}", tmp_path / "relay.key", "x", clock)
    directory.migrate()
    directory.accounts.create("shop")
    directory.identities.add("shop", "a+b@example.org")
    yield directory, clock
    directory.close()


@pytest.fixture
async def site(directory: tuple[Directory, ManualClock]) -> AsyncIterator[Site]:
    tasks = Tasks("test")
    (sock,) = bind(("127.0.0.1", 0), 1, "x")
    listen([sock])
    server = HttpServer(public_app(directory[0].life), 10)
    serving = tasks.spawn(server.serve(sock), "http")
    yield Site(*directory, sock.getsockname())
    server.end()
    await serving


async def test_opening_the_link_changes_nothing_the_button_verifies_once(site: Site) -> None:
    link = site.link()
    for method in ("GET", "HEAD", "GET"):
        status, body = await site.open(link, method)
        assert status == 200
        assert site.state is IdentityState.PENDING
    assert '<form method="post">' in body
    assert "a+b@example.org" in body
    status, body = await site.open(link, "POST")
    assert (status, "Confirmed" in body, site.state) == (200, True, IdentityState.VERIFIED)
    for method in ("GET", "POST"):
        status, body = await site.open(link, method)
        assert (status, "No longer in use" in body, "<form" in body) == (410, True, False)


async def test_a_link_runs_out(site: Site) -> None:
    link = site.link()
    site.clock.advance(86400)
    for method in ("GET", "POST"):
        status, body = await site.open(link, method)
        assert (status, "Too late" in body) == (410, True)
    assert site.state is IdentityState.PENDING


async def test_a_forged_link_says_nothing(site: Site) -> None:
    forged = site.link()[:-1] + "!"
    for path in (forged, "/verify/1.2.3", "/verify/x"):
        status, body = await site.open(path, "POST")
        assert (status, "Not a link of ours" in body, "example.org" in body) == (404, True, False)
    link = site.link()
    site.directory.identities.remove("a+b@example.org")
    assert (await site.open(link, "POST"))[0] == 404


async def test_nothing_else_is_served(site: Site) -> None:
    for path in ("/", "/metrics", "/healthz", "/verify/", "/verify/a/b", "/docs", "/openapi.json"):
        assert (await site.open(path))[0] == 404
    assert (await site.open(site.link(), "PUT"))[0] == 405


async def test_an_address_cannot_write_into_the_page(site: Site) -> None:
    site.directory.identities.add("shop", "a&'b@example.org")
    standing = site.directory.life.standing("a&'b@example.org")
    path = "/verify/" + site.directory.life.make_link(standing, site.clock.now() + 9)
    assert "a&amp;&#x27;b@example.org" in (await site.open(path))[1]


async def test_a_directory_out_of_reach_is_temporary(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    link = site.link()

    def fail(*_: object) -> None:
        raise DirectoryError("server gone")

    monkeypatch.setattr(site.directory.life, "confirm", fail)
    status, body = await site.open(link, "POST")
    assert (status, "Not now" in body, "server gone" in body) == (503, True, False)
    assert "directory out of reach" in caplog.text
