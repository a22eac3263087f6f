"""Sessions of ours to receivers that are watched: opening, TLS, AUTH, transactions, and how they end."""

import base64
import os

import pytest

from relay.base.outcome import Deferred
from relay.base.route import Host, Route, TlsMode
from relay.base.trace import Filter, Traces
from relay.transport.connect import Connector
from relay.transport.opening import open_session
from relay.transport.settings import SessionSettings
from relay.transport.tls_policy import TlsContexts
from relay.transport.watching import names_of
from tests.fakes.prepared import Port
from tests.transport.peers import BODY, DROP, ScriptedPeer, certificate, make_attempt

PASSWORD = "hunter22 and more"
TO_US = Filter(site="127.0.0.1")


async def opened(peer, traces, route=None, ca_file="", **settings):
    route = route or peer.route()
    (host,) = route.hosts
    settings = SessionSettings("me.example", **settings)
    return await open_session(host, "127.0.0.1", route, settings, TlsContexts(ca_file), traces=traces)


def watched(*chosen):
    traces = Traces()
    for number, one in enumerate(chosen or (TO_US,)):
        traces.begin(number, one)
    return traces, *traces.active


def said(trace):
    return [f"{who}: {text}" for _, _, who, text in trace.lines]


async def deliver(session, *addresses, **more):
    attempt = make_attempt(*addresses, **more)
    return await session.deliver(attempt, attempt.message.content, lambda: None)


async def test_a_session_from_connect_to_quit():
    async with ScriptedPeer() as peer:
        traces, trace = watched()
        session = await opened(peer, traces)
        await deliver(session, "bob@example.net", "eve@example.net")
        await session.end()
        message_id = "0000019a8c3b1f20-00000000-0000-4000-8000-000000000000-000001"
        assert said(trace) == [
            f"#: connecting to 127.0.0.1 [127.0.0.1]:{peer.port} for hop:127.0.0.1",
            "S: 220 peer.example ESMTP",
            "C: EHLO me.example",
            "S: 250-peer.example",
            "S: 250-PIPELINING",
            "S: 250-8BITMIME",
            "S: 250 SIZE 10000000",
            f"#: message {message_id} of account 1",
            f"C: MAIL FROM:<a@example.org> SIZE={len(BODY)}",
            "C: RCPT TO:<bob@example.net>",
            "C: RCPT TO:<eve@example.net>",
            "C: DATA",
            *said(trace)[12:16],
            f"C: <{len(BODY)} octets of content>",
            *said(trace)[17:18],
            "C: QUIT",
            *said(trace)[19:],
        ]
        assert [line[:6] for line in said(trace)[12:16]] == ["S: 250", "S: 250", "S: 250", "S: 354"]
        assert said(trace)[17].startswith("S: 250")
        assert said(trace)[19].startswith("S: 221")
        assert said(trace)[-1] == ".: "


@pytest.mark.parametrize("mechanisms", ["PLAIN LOGIN", "LOGIN"])
async def test_a_password_is_not_seen_even_where_the_server_repeats_it(tmp_path, mechanisms):
    tls, ca_file = certificate(tmp_path, "mx.example.net")
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\n")
    os.chmod(file, 0o600)
    words = [base64.b64encode(one.encode()).decode() for one in ("user", PASSWORD, f"\0user\0{PASSWORD}")]
    wrong = f"535 5.7.8 {PASSWORD} ({words[1]}, {words[2]}) is wrong"
    replies = {"AUTH": wrong if "PLAIN" in mechanisms else "334 VXNlcm5hbWU6"}
    replies |= {words[0].upper(): "334 UGFzc3dvcmQ6", words[1].upper(): wrong}
    async with ScriptedPeer(replies, (f"AUTH {mechanisms}",), tls=tls) as peer:
        traces, trace = watched(Filter(site="mx.example.net"))
        route = Route("hop:x", (peer.host("mx.example.net"),), TlsMode.REQUIRED, "user", str(file))
        assert isinstance(await opened(peer, traces, route, ca_file), Deferred)
        lines = said(trace)
        assert "C: STARTTLS" in lines
        assert any(line.startswith("#: TLS: TLSv1.3 ") for line in lines)
        assert ("C: AUTH PLAIN ***" if "PLAIN" in mechanisms else "C: ***") in lines
        assert any(line.startswith("S: 535 5.7.8 *** (") for line in lines)
        for secret in (PASSWORD, *words[1:]):
            if secret in wrong and secret not in (words[2] if mechanisms == "LOGIN" else words[1]):
                assert secret not in "\n".join(lines)


async def test_who_watches_a_domain_sees_its_mail_on_a_shared_connection_and_no_other():
    async with ScriptedPeer() as peer:
        traces, one, two = watched(Filter(site="example.net"), Filter(account=2))
        session = await opened(peer, traces)
        assert one.lines == two.lines == []  # whose mail it will carry is not known
        await deliver(session, "bob@other.example")
        assert one.lines == two.lines == []
        await deliver(session, "bob@example.net")
        lines = said(one)
        assert "S: 220 peer.example ESMTP" in lines  # the opening, from what is kept of it
        assert "C: EHLO me.example" in lines
        assert lines[-1].startswith("S: 250")
        before = len(one.lines)
        await deliver(session, "bob@other.example")
        assert len(one.lines) == before
        await deliver(session, "bob@example.net")
        assert said(one)[before].startswith("#: message ")  # the opening once only
        assert two.lines == []
        await session.end()
        assert said(one)[-1] == ".: "


async def test_who_comes_late_gets_the_opening_and_who_leaves_costs_nothing():
    async with ScriptedPeer() as peer:
        traces = Traces()
        session = await opened(peer, traces)
        await deliver(session)
        assert session._wire.trail is None
        traces.begin(1, Filter(account=1))
        (trace,) = traces.active
        await deliver(session)
        assert said(trace)[0] == "#: open to 127.0.0.1 [127.0.0.1]; it began with"
        assert said(trace)[1:3] == ["S: 220 peer.example ESMTP", "C: EHLO me.example"]
        traces.end(1)
        await deliver(session)
        assert session._wire.trail is None
        await session.end()


async def test_a_peer_that_offers_no_pipelining_and_then_hangs_up():
    async with ScriptedPeer({".": [DROP]}, extensions=()) as peer:
        traces, trace = watched()
        session = await opened(peer, traces)
        await deliver(session)
        lines = said(trace)
        assert [line for line in lines if line.startswith("C: ")] == [
            "C: EHLO me.example",
            "C: MAIL FROM:<a@example.org>",
            "C: RCPT TO:<bob@example.net>",
            "C: DATA",
            f"C: <{len(BODY)} octets of content>",
        ]
        assert lines[-2:] == ["#: closed by the peer", ".: "]


async def test_nonsense_and_silence_are_told():
    async with ScriptedPeer({"GREETING": "hello \x1b[2J"}) as peer:
        traces, trace = watched()
        assert isinstance(await opened(peer, traces), Deferred)
        assert any(line.startswith("#: not a reply: b'hello") for line in said(trace))
        assert "\x1b" not in "\n".join(said(trace))
    async with ScriptedPeer({"EHLO": "silent"}) as peer:
        traces, trace = watched()
        assert isinstance(await opened(peer, traces, ehlo_s=0.05), Deferred)
        assert "#: no reply within 0.05 s" in said(trace)


async def test_no_connection_and_no_address_are_told():
    port = Port()
    host = Host("127.0.0.1", port.number)
    traces, trace = watched()
    found = await open_session(
        host,
        "127.0.0.1",
        Route("hop:x", (host,)),
        SessionSettings("me.example"),
        TlsContexts(),
        traces=traces,
    )
    assert isinstance(found, Deferred)
    assert said(trace)[1].startswith("#: no connection: ")
    assert said(trace)[2] == ".: "
    port.free()


async def test_a_certificate_that_is_not_good_is_told(tmp_path):
    tls, _ = certificate(tmp_path, "other.example.net")
    async with ScriptedPeer(tls=tls) as peer:
        traces, trace = watched()
        found = await opened(peer, traces, peer.route(TlsMode.REQUIRED))
        assert isinstance(found, Deferred)
        assert any("certificate verify failed" in line for line in said(trace))


def test_a_session_goes_by_all_these_names():
    route = Route("mx:mx1.Example,mx2.example", (Host("mx1.Example"),), domain="Example.net")
    assert names_of(route, route.hosts[0], "192.0.2.1") == {
        "mx:mx1.example,mx2.example",
        "mx1.example,mx2.example",
        "example.net",
        "mx1.example",
        "192.0.2.1",
    }


async def test_a_host_that_is_not_tried_is_told():
    from relay.transport.answers import Answer, Status

    class Nowhere:
        async def addresses(self, host):
            return Answer(Status.TEMPORARY, detail=f"{host}: the DNS is silent")

    traces, trace = watched(Filter(site="example.net"), Filter(site="other.example"))[:2]
    connector = Connector(
        Nowhere(), TlsContexts(), SessionSettings("me.example"), lambda hosts: None, 5, traces=traces
    )
    route = Route("mx:mx.example.net", (Host("mx.example.net"),), domain="example.net")
    assert isinstance(await connector.connect(route), Deferred)
    assert said(trace) == ["#: mx.example.net:25: no connection: mx.example.net: the DNS is silent", ".: "]
    assert traces.active[1].lines == []
