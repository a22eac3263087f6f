"""TLS reports handed in to a real HTTPS server."""

import gzip
from pathlib import Path

import pytest

from relay.transport.answers import Answer, Status
from relay.transport.https import Https
from relay.transport.report_post import post
from tests.fakes.authority import Authority
from tests.fakes.web_server import WebServer

BODY = gzip.compress(b"{}", mtime=0)


class Names:
    async def addresses(self, host: str) -> Answer:
        return Answer(Status.FOUND, addresses=("127.0.0.1",))


async def test_taken_or_not(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    https = Https(Names(), str(authority.file), True)
    with WebServer(authority) as web:
        web.take_posts("reports.example")
        uri = f"https://reports.example:{web.port}/v1?for=receiver.example"
        web.statuses = [200, 201, 404, 301]
        assert await post(https, uri, BODY) == ""
        assert await post(https, uri, BODY) == ""
        assert await post(https, uri, BODY) == "reports.example: HTTP status 404"
        assert await post(https, uri, BODY) == "reports.example: HTTP status 301"
        host, path, headers, body = web.posted[0]
        assert (host, path, body) == ("reports.example", "/v1?for=receiver.example", BODY)
        assert headers["content-type"] == "application/tlsrpt+gzip"
        assert "unrecognized" in (await post(https, f"https://other.example:{web.port}", BODY)).lower()


@pytest.mark.parametrize("uri", ["http://a.example/", "https:///x", "mailto:a@b.example"])
async def test_what_is_no_https_uri(tmp_path: Path, uri: str) -> None:
    with pytest.raises(ValueError, match="https"):
        await post(Https(Names()), uri, BODY)
