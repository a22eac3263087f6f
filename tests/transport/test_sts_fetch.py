"""Policy files from a real HTTPS server that is right, or wrong in each way that RFC 8461 names."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from relay.base.tls_session import TlsFailure
from relay.codec.mta_sts import MAX_POLICY_BYTES
from relay.transport.answers import Answer, Status
from relay.transport.https import Https
from relay.transport.sts_fetch import FetchFailure, PolicyFetcher
from tests.fakes.authority import Authority
from tests.fakes.web_server import POLICY_PATH, WebServer

DOMAIN = "receiver.example"
POLICY = b"version: STSv1\r\nmode: enforce\r\nmx: mx.receiver.example\r\nmax_age: 86400\r\n"
ELSEWHERE = f"https://mta-sts.good.example{POLICY_PATH}"
LARGEST = POLICY.ljust(MAX_POLICY_BYTES)


class Names:
    """Every name leads to these addresses."""

    def __init__(self, *addresses: str) -> None:
        self.addresses_found = addresses or ("127.0.0.1",)

    async def addresses(self, host: str) -> Answer:
        if host == "mta-sts.nowhere.example":
            return Answer(Status.NO_DOMAIN, detail=f"{host} does not exist")
        return Answer(Status.FOUND, addresses=self.addresses_found)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def web(authority: Authority) -> Iterator[WebServer]:
    with WebServer(authority) as started:
        yield started


def fetcher(web: WebServer, authority: Authority, timeout_s: float = 30.0) -> PolicyFetcher:
    return PolicyFetcher(Https(Names(), str(authority.file), True, timeout_s), web.port)


async def test_a_policy(web: WebServer, authority: Authority) -> None:
    web.serve(DOMAIN, POLICY)
    assert await fetcher(web, authority).fetch(DOMAIN) == POLICY
    assert web.asked == [(f"mta-sts.{DOMAIN}", POLICY_PATH)]


@pytest.mark.parametrize("kind", ["text/plain", "text/plain; charset=utf-8", "Text/Plain;charset=us-ascii"])
async def test_the_largest_there_may_be(web: WebServer, authority: Authority, kind: str) -> None:
    web.serve(DOMAIN, LARGEST, kind=kind)
    assert await fetcher(web, authority).fetch(DOMAIN) == LARGEST


FETCH_ERROR, WEBPKI = TlsFailure.STS_POLICY_FETCH_ERROR, TlsFailure.STS_WEBPKI_INVALID


@pytest.mark.parametrize(
    ("wrong", "failure", "says"),
    [
        ({"status": 404}, FETCH_ERROR, "404"),
        ({"status": 500}, FETCH_ERROR, "500"),
        ({"status": 301, "headers": {"Location": ELSEWHERE}}, FETCH_ERROR, "301"),
        ({"status": 206}, FETCH_ERROR, "206"),
        ({"kind": "text/html"}, FETCH_ERROR, "'text/html'"),
        ({"body": LARGEST + b"\n"}, FETCH_ERROR, "longer than 65536"),
        ({"is_slow": True}, FETCH_ERROR, "not complete within 0.5 s"),
        ({"names": ("mta-sts.other.example",)}, WEBPKI, "(?i)hostname mismatch"),
        ({"names": (DOMAIN,)}, WEBPKI, "(?i)hostname mismatch"),
        ({"age_days": 30}, WEBPKI, "expired"),
        ({"age_days": -30}, WEBPKI, "not yet valid"),
        ({"authority": "other"}, WEBPKI, "(?i)self.signed|unable to get"),
    ],
)  # fmt: skip
async def test_what_is_no_policy(
    web: WebServer,
    authority: Authority,
    tmp_path: Path,
    wrong: dict[str, Any],
    failure: TlsFailure,
    says: str,
) -> None:
    if "authority" in wrong:
        wrong = {"authority": Authority(tmp_path, "Other CA")}
    web.serve("good.example", POLICY)
    web.serve(DOMAIN, **{"body": POLICY, **wrong})
    got = await fetcher(web, authority, 0.5 if "is_slow" in wrong else 30.0).fetch(DOMAIN)
    assert isinstance(got, FetchFailure)
    assert got.kind is failure
    assert f"mta-sts.{DOMAIN}" in got.detail
    with pytest.raises(AssertionError, match=says):
        raise AssertionError(got.detail)
    assert {host for host, _ in web.asked} <= {f"mta-sts.{DOMAIN}"}  # no redirect was followed


async def test_no_such_name(web: WebServer, authority: Authority) -> None:
    got = await fetcher(web, authority).fetch("nowhere.example")
    assert got == FetchFailure(FETCH_ERROR, "mta-sts.nowhere.example: mta-sts.nowhere.example does not exist")
