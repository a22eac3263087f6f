"""From an address to a session: greeting, EHLO, TLS by policy, AUTH."""

import asyncio
import base64
import os

import pytest

from relay.base.outcome import Deferred, Reason, Scope
from relay.base.route import Host, Route, TlsMode
from relay.base.tls_session import TlsFailure, TlsPolicy, TlsPolicyType
from relay.transport.opening import open_session, secretless
from relay.transport.session import Session
from relay.transport.settings import SessionSettings
from relay.transport.tls_decision import TlsPlan
from relay.transport.tls_policy import TlsContexts
from tests.fakes.chains import make, server_context
from tests.fakes.prepared import Port
from tests.transport.peers import BODY, DROP, SILENT, ScriptedPeer, certificate, make_attempt


async def open_to(
    peer, mode=TlsMode.OPPORTUNISTIC, ca_file="", name="mx.example.net", route=None, **settings
):
    host = peer.host(name)
    route = route or Route("hop:x", (host,), mode)
    return await open_session(
        host, "127.0.0.1", route, SessionSettings("me.example", **settings), TlsContexts(ca_file)
    )


async def delivers(session):
    assert isinstance(session, Session), session
    outcomes = await session.deliver(make_attempt(), BODY, lambda: None)
    await session.end()
    return outcomes[0].reply.code == 250


@pytest.mark.parametrize(
    ("replies", "reason", "code"),
    [
        ({"GREETING": "554 go away"}, Reason.GREETING, 554),
        ({"GREETING": "421 too busy"}, Reason.BUSY, 421),
        ({"GREETING": "450 later"}, Reason.GREETING, 450),
        ({"GREETING": DROP}, Reason.CONNECTION_LOST, None),
        ({"GREETING": SILENT}, Reason.TIMEOUT, None),
        ({"GREETING": b"SSH-2.0-OpenSSH\r\n"}, Reason.PROTOCOL, None),
        ({"GREETING": b"220 hi\r\n250 I talk too much\r\n"}, Reason.PROTOCOL, None),
        ({"GREETING": b"220 hi\r\nI talk nonsense\r\n"}, Reason.PROTOCOL, None),
        ({"EHLO": "450 later"}, Reason.GREETING, 450),
        ({"EHLO": "550 no", "HELO": "550 no"}, Reason.GREETING, 550),
        ({"EHLO": DROP}, Reason.CONNECTION_LOST, None),
    ],
    ids=str,
)
async def test_a_peer_that_does_not_want_us_says_nothing_about_the_message(replies, reason, code):
    async with ScriptedPeer(replies) as peer:
        opened = await open_to(peer, greeting_s=0.05 if SILENT in replies.values() else 30)
        assert isinstance(opened, Deferred)
        assert (opened.scope, opened.reason) == (Scope.SITE, reason)
        assert (opened.reply.code if opened.reply else None) == code


async def test_nobody_listens():
    port = Port()
    host = Host("127.0.0.1", port.number)
    opened = await open_session(host, "127.0.0.1", Route("x", (host,)), SessionSettings(), TlsContexts())
    port.free()
    assert (opened.scope, opened.reason) == (Scope.SITE, Reason.CONNECT)


async def test_helo_where_ehlo_is_not_known():
    async with ScriptedPeer({"EHLO": "502 what?"}) as peer:
        assert await delivers(await open_to(peer))
        assert peer.commands[:3] == ["EHLO me.example", "HELO me.example", "MAIL FROM:<a@example.org>"]


async def test_opportunistic_tls_takes_any_certificate_and_names_the_host(tmp_path):
    tls, _ = certificate(tmp_path, "other.example")
    async with ScriptedPeer(tls=tls) as peer:
        session = await open_to(peer)
        assert session.peer.tls.startswith("TLSv1.3 TLS_")
        assert await delivers(session)
        assert peer.server_names == ["mx.example.net"]
        assert peer.commands.count("EHLO me.example") == 2  # RFC 3207 4.2


async def test_required_tls_with_a_certificate_that_verifies(tmp_path):
    tls, ca_file = certificate(tmp_path, "mx.example.net")
    async with ScriptedPeer(tls=tls) as peer:
        assert await delivers(await open_to(peer, TlsMode.REQUIRED, ca_file))


async def test_the_wrapper_speaks_tls_from_the_first_byte(tmp_path):
    tls, ca_file = certificate(tmp_path, "mx.example.net")
    async with ScriptedPeer(tls=tls, wrapper=True) as peer:
        session = await open_to(peer, TlsMode.WRAPPER, ca_file)
        assert session.peer.tls.startswith("TLSv1.3")
        assert await delivers(session)


@pytest.mark.parametrize("mode", [TlsMode.REQUIRED, TlsMode.WRAPPER])
@pytest.mark.parametrize(("names", "is_trusted"), [(("other.example",), True), (("mx.example.net",), False)])
async def test_a_certificate_that_does_not_verify_is_no_delivery(tmp_path, mode, names, is_trusted):
    tls, ca_file = certificate(tmp_path, *names)
    async with ScriptedPeer(tls=tls, wrapper=mode is TlsMode.WRAPPER) as peer:
        opened = await open_to(peer, mode, ca_file if is_trusted else "")
        assert (opened.scope, opened.reason) == (Scope.SITE, Reason.TLS)
        assert peer.messages == []


@pytest.mark.parametrize(
    "replies",
    [
        {},
        {"STARTTLS": "454 not now"},
        {"STARTTLS": "220 go\r\n250 injected"},
        {"STARTTLS": "220 go\r\ninjected"},
    ],
)
async def test_required_tls_is_never_downgraded(tmp_path, replies):
    tls, ca_file = certificate(tmp_path, "mx.example.net")
    async with ScriptedPeer(replies, tls=tls if replies else None) as peer:
        opened = await open_to(peer, TlsMode.REQUIRED, ca_file)
        assert opened.scope is Scope.SITE
        assert opened.reason in (Reason.TLS, Reason.PROTOCOL)
        assert peer.connections == 1


async def test_opportunistic_goes_on_in_clear_if_starttls_is_refused(tmp_path):
    tls, _ = certificate(tmp_path, "mx.example.net")
    async with ScriptedPeer({"STARTTLS": "454 not now"}, tls=tls) as peer:
        session = await open_to(peer)
        assert session.peer.tls == ""
        assert await delivers(session)
        assert peer.connections == 1


async def test_opportunistic_connects_again_in_clear_if_the_handshake_fails():
    async with ScriptedPeer(extensions=("PIPELINING", "STARTTLS")) as peer:
        handshakes = []

        async def broken(context):
            handshakes.append(context)
            raise ConnectionError

        async def serve(reader, writer, plain=peer._serve):
            writer.start_tls = broken
            await plain(reader, writer)

        peer._serve = serve
        peer._server.close()
        peer._server = await asyncio.start_server(serve, "127.0.0.1", peer.port)
        session = await open_to(peer)
        assert (peer.connections, len(handshakes), session.peer.tls) == (2, 1, "")
        assert await delivers(session)


async def test_tls_none_ignores_what_is_offered(tmp_path):
    tls, _ = certificate(tmp_path, "mx.example.net")
    async with ScriptedPeer(tls=tls) as peer:
        assert await delivers(await open_to(peer, TlsMode.NONE))
        assert "STARTTLS" not in peer.commands


def password_file(tmp_path, text="s3cret\n", mode=0o600):
    path = tmp_path / "password"
    path.write_text(text)
    os.chmod(path, mode)
    return str(path)


def auth_route(peer, path, mode=TlsMode.REQUIRED):
    return Route("hop:x", (peer.host("mx.example.net"),), mode, "user", path)


@pytest.mark.parametrize(
    ("mechanisms", "lines"),
    [
        ("PLAIN LOGIN", ["AUTH PLAIN " + base64.b64encode(b"\0user\0s3cret").decode()]),
        ("LOGIN", ["AUTH LOGIN", base64.b64encode(b"user").decode(), base64.b64encode(b"s3cret").decode()]),
    ],
)
async def test_auth(tmp_path, mechanisms, lines):
    tls, ca_file = certificate(tmp_path, "mx.example.net")
    user, secret = (base64.b64encode(word).decode() for word in (b"user", b"s3cret"))
    replies = {"AUTH": "235 welcome" if "PLAIN" in mechanisms else "334 VXNlcm5hbWU6"}
    replies |= {user.upper(): "334 UGFzc3dvcmQ6", secret.upper(): "235 welcome"}
    async with ScriptedPeer(replies, ("PIPELINING", f"AUTH {mechanisms}"), tls=tls) as peer:
        session = await open_to(peer, ca_file=ca_file, route=auth_route(peer, password_file(tmp_path)))
        assert await delivers(session)
        said = peer.commands[3 : peer.commands.index("MAIL FROM:<a@example.org>")]
        assert said == lines


@pytest.mark.parametrize(
    ("replies", "extensions", "mode", "text", "file_mode", "detail"),
    [
        ({"AUTH": "535 no"}, ("AUTH PLAIN",), TlsMode.REQUIRED, "s3cret", 0o600, "AUTH refused"),
        ({"AUTH": "454 later"}, ("AUTH PLAIN",), TlsMode.REQUIRED, "s3cret", 0o600, "AUTH refused"),
        ({}, (), TlsMode.REQUIRED, "s3cret", 0o600, "neither AUTH PLAIN nor LOGIN"),
        ({}, ("AUTH CRAM-MD5",), TlsMode.REQUIRED, "s3cret", 0o600, "neither AUTH PLAIN nor LOGIN"),
        ({}, ("AUTH PLAIN",), TlsMode.REQUIRED, "s3cret", 0o640, "chmod 600"),
        ({}, ("AUTH PLAIN",), TlsMode.REQUIRED, "", 0o600, "empty"),
        ({}, ("AUTH PLAIN",), TlsMode.OPPORTUNISTIC, "s3cret", 0o600, "required or wrapper"),
        ({}, ("AUTH PLAIN",), TlsMode.NONE, "s3cret", 0o600, "required or wrapper"),
    ],
)
async def test_credentials_that_do_not_get_us_in(
    tmp_path, replies, extensions, mode, text, file_mode, detail
):
    tls, ca_file = certificate(tmp_path, "mx.example.net")
    async with ScriptedPeer(replies, ("PIPELINING", *extensions), tls=tls) as peer:
        route = auth_route(peer, password_file(tmp_path, text, file_mode), mode)
        opened = await open_to(peer, ca_file=ca_file, route=route)
        assert (opened.scope, opened.reason) == (Scope.SITE, Reason.AUTH)
        assert detail in opened.detail
        assert "s3cret" not in repr(opened)


@pytest.mark.parametrize("at", ["GREETING", "EHLO", "STARTTLS"])
async def test_cancelled_while_opening_leaves_nothing_open(tmp_path, at):
    tls, _ = certificate(tmp_path, "mx.example.net")
    async with ScriptedPeer({at: SILENT}, tls=tls) as peer:
        task = asyncio.create_task(open_to(peer))
        while not peer.connections or (at != "GREETING" and at not in " ".join(peer.commands)):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        while peer.live:
            await asyncio.sleep(0)


async def test_a_host_that_bears_our_name_is_ourselves():
    async with ScriptedPeer({"EHLO": "250-ME.example at your service\r\n250 PIPELINING"}) as peer:
        opened = await open_to(peer)
        assert isinstance(opened, Deferred)
        assert (opened.scope, opened.reason) == (Scope.SITE, Reason.LOOP)


async def test_a_host_name_that_tls_cannot_carry(tmp_path):
    server, _ = certificate(tmp_path, "mx.example.net")
    async with ScriptedPeer(tls=server) as peer:
        assert await delivers(await open_to(peer, name="\\000" * 40 + ".example"))


async def test_what_was_said_is_told_where_no_session_came_of_it(tmp_path):
    tls, ca_file = certificate(tmp_path, "mx.example.net")
    async with ScriptedPeer({"AUTH": "535 5.7.8 wrong"}, extensions=("AUTH PLAIN",), tls=tls) as peer:
        password = tmp_path / "password"
        password.write_text("open sesame")
        os.chmod(password, 0o600)
        host = peer.host("mx.example.net")
        route = Route("hop:x", (host,), TlsMode.REQUIRED, "user", str(password))
        opened = await open_to(peer, ca_file=ca_file, route=route)
        lines = opened.dialogue.split("\n")
        assert lines[0] == f"# to mx.example.net [127.0.0.1]:{peer.port}"
        assert [line for line in lines if line.startswith(">")] == [
            "> EHLO me.example",
            "> STARTTLS",
            "> EHLO me.example",
            "> AUTH PLAIN ***",
        ]
        assert [line for line in lines if line.startswith("# TLSv1")] != []
        assert lines[-1] == "< 535 5.7.8 wrong"
        assert "sesame" not in opened.dialogue
        assert base64.b64encode(b"\0user\0open sesame").decode() not in opened.dialogue


@pytest.mark.parametrize(
    "said", ["535 5.7.8 {0} is wrong, {1} is, too", "535-5.7.8 wrong:\r\n535 5.7.8 {1}", "garbage {1} {0}"]
)
async def test_a_password_that_the_server_repeats_gets_into_no_transcript_and_to_no_sender(tmp_path, said):
    tls, ca_file = certificate(tmp_path, "mx.example.net")
    word = base64.b64encode(b"\0user\0open sesame").decode()
    reply = said.format("open sesame", word)
    async with ScriptedPeer({"AUTH": reply}, extensions=("AUTH PLAIN",), tls=tls) as peer:
        password = tmp_path / "password"
        password.write_text("open sesame")
        os.chmod(password, 0o600)
        route = Route("hop:x", (peer.host("mx.example.net"),), TlsMode.REQUIRED, "user", str(password))
        opened = await open_to(peer, ca_file=ca_file, route=route)
        told = f"{opened}"
        assert isinstance(opened, Deferred)
        assert "***" in told
        assert "sesame" not in told
        assert word not in told


async def test_what_ended_it_is_told_where_that_was_no_reply():
    async with ScriptedPeer({"EHLO": DROP}) as peer:
        opened = await open_to(peer)
        assert opened.dialogue.split("\n")[-2:] == [
            "> EHLO me.example",
            "# connection-lost: EHLO: closed by the peer",
        ]


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("AUTH PLAIN AHVzZXIAc2VjcmV0\r\n", "AUTH PLAIN ***"),
        ("AUTH LOGIN\r\n", "AUTH LOGIN"),
        ("c2VjcmV0\r\n", "***"),
    ],
)
def test_no_secret_is_ever_shown(line, shown):
    assert secretless(line) == shown


class Noted(list):
    """What is kept for the receivers' reports."""

    def note(self, session):
        self.append((session.failure, session.host, session.address))


async def planned(peer, plan, ca_file=""):
    noted = Noted()
    host = peer.host("mx.example.net")
    route = Route("mx:mx.example.net", (host,), domain="example.net")
    settings = SessionSettings("me.example")
    opened = await open_session(host, "127.0.0.1", route, settings, TlsContexts(ca_file), plan, noted)
    if isinstance(opened, Session):
        await opened.end()
    return opened, noted


STS = TlsPolicy("example.net", TlsPolicyType.STS, (), ("mx.example.net",))
TESTED = TlsPlan(TlsMode.OPPORTUNISTIC, STS, try_first=TlsMode.REQUIRED)


async def test_a_plan_that_is_only_tried_is_noted_and_the_mail_goes(tmp_path):
    tls, ca_file = certificate(tmp_path, "mx.example.net")
    async with ScriptedPeer(tls=tls) as peer:
        for trusted, failure in ((ca_file, None), ("", TlsFailure.CERTIFICATE_NOT_TRUSTED)):
            opened, noted = await planned(peer, TESTED, trusted)
            assert isinstance(opened, Session)
            assert noted == [(failure, "mx.example.net", "127.0.0.1")]
    async with ScriptedPeer() as peer:
        opened, noted = await planned(peer, TESTED)
        assert isinstance(opened, Session)
        assert [one[0] for one in noted] == [TlsFailure.STARTTLS_NOT_SUPPORTED]


async def test_what_is_known_to_be_amiss_is_noted_whatever_becomes_of_it(tmp_path):
    tls, _ = certificate(tmp_path, "mx.example.net")
    amiss = (TlsFailure.VALIDATION_FAILURE, "not named")
    async with ScriptedPeer(tls=tls) as peer:
        opened, noted = await planned(peer, TlsPlan(TlsMode.OPPORTUNISTIC, STS, amiss=amiss))
        assert isinstance(opened, Session)
        assert [one[0] for one in noted] == [TlsFailure.VALIDATION_FAILURE]


async def test_a_session_that_nobody_asked_about_or_that_failed_before_tls_is_not_noted(tmp_path):
    tls, _ = certificate(tmp_path, "mx.example.net")
    async with ScriptedPeer(tls=tls) as peer:
        assert (await planned(peer, TlsPlan(TlsMode.OPPORTUNISTIC, TlsPolicy(""))))[1] == []
        assert (await planned(peer, TlsPlan(TlsMode.NONE, STS)))[1] == []
    async with ScriptedPeer({"GREETING": "554 no"}, tls=tls) as peer:
        assert (await planned(peer, TESTED))[1] == []


@pytest.mark.parametrize("is_right", [True, False])
async def test_dane_compares_the_certificate_before_anything_is_said(tmp_path, is_right):
    shown, other = make("any name"), make("other")
    plan = TlsPlan(TlsMode.DANE_ONLY, STS, ((shown if is_right else other).tlsa(3, 1, 1),), "tlsa.example")
    async with ScriptedPeer(tls=server_context(tmp_path, shown)) as peer:
        opened, noted = await planned(peer, plan)
        assert peer.server_names == ["tlsa.example"]  # RFC 7672 3.2.2: SNI is the base of the records
        if is_right:
            assert opened.peer.tls.endswith(" (DANE)")
            assert noted[0][0] is None
        else:
            assert (opened.scope, opened.reason) == (Scope.SITE, Reason.TLS)
            assert noted[0][0] is TlsFailure.CERTIFICATE_NOT_TRUSTED
            assert peer.commands == ["EHLO me.example", "STARTTLS"]
            assert peer.connections == 1
