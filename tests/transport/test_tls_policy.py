"""One context per mode, and what each asks of the peer."""

import asyncio
import ssl
from dataclasses import replace

import pytest
import uvloop

from relay.base.errors import ConfigError
from relay.base.outcome import Deferred, Reason
from relay.base.route import TlsMode
from relay.base.tls_session import TlsPolicy
from relay.transport import tls_policy
from relay.transport.opening import open_session
from relay.transport.session import Session
from relay.transport.settings import SessionSettings
from relay.transport.tls_decision import TlsPlan
from relay.transport.tls_policy import TlsContexts
from tests.fakes.chains import make, server_context
from tests.transport.peers import ScriptedPeer


def test_opportunistic_verifies_nothing():
    context = TlsContexts().context(TlsMode.OPPORTUNISTIC)
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_NONE, False)
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize("mode", [TlsMode.REQUIRED, TlsMode.WRAPPER])
def test_the_others_verify_certificate_and_name(mode):
    context = TlsContexts().context(mode)
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_a_context_is_made_once_until_forgotten():
    contexts = TlsContexts()
    first = contexts.context(TlsMode.OPPORTUNISTIC)
    assert contexts.context(TlsMode.OPPORTUNISTIC) is first
    contexts.forget()
    assert contexts.context(TlsMode.OPPORTUNISTIC) is not first


def test_a_ca_file_that_cannot_be_used(tmp_path):
    (tmp_path / "empty.pem").write_text("")
    for path in (tmp_path / "gone.pem", tmp_path / "empty.pem"):
        with pytest.raises(ConfigError, match=path.name):
            TlsContexts(str(path)).context(TlsMode.REQUIRED)


def test_no_context_without_tls():
    with pytest.raises(ValueError, match="no TLS"):
        TlsContexts().context(TlsMode.NONE)


NAME = "mx.example.net"
ROOT = make("Root", is_authority=True)
SERVER = make(NAME, ROOT, names=(NAME,))


def trusting(folder, ca=ROOT):
    file = folder / "root.pem"
    file.write_text(ssl.DER_cert_to_PEM_cert(ca.der))
    return TlsContexts(str(file))


async def opened(peer, contexts, mode, name=NAME, **more):
    """Whether a session to the peer opens, and whether its TLS was resumed."""
    plan = None
    if mode is TlsMode.DANE_ONLY:
        plan = replace(PLAN, records=(SERVER.tlsa(3, 1, 1),))
    route = peer.route(mode, name, **more)
    session = await open_session(route.hosts[0], "127.0.0.1", route, SETTINGS, contexts, plan)
    if isinstance(session, Deferred):
        return session
    assert isinstance(session, Session)
    is_resumed = session._wire.tls_connection().session_reused
    await session.end()
    return is_resumed


SETTINGS = SessionSettings("me.example")
PLAN = TlsPlan(TlsMode.DANE_ONLY, TlsPolicy(""))


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("mode", [TlsMode.OPPORTUNISTIC, TlsMode.ENCRYPT, TlsMode.REQUIRED, TlsMode.WRAPPER])
def test_the_second_connection_resumes_the_first(tmp_path, run, version, mode):
    contexts = trusting(tmp_path)
    tls = server_context(tmp_path, SERVER)
    tls.maximum_version = version

    async def both():
        async with ScriptedPeer(tls=tls, wrapper=mode is TlsMode.WRAPPER) as peer:
            return [await opened(peer, contexts, mode) for _ in range(3)]

    assert run(both()) == [False, True, True]


async def test_what_proves_less_is_not_resumed_where_more_is_asked(tmp_path):
    contexts = trusting(tmp_path, make("Other", is_authority=True))
    async with ScriptedPeer(tls=server_context(tmp_path, SERVER)) as peer:
        assert await opened(peer, contexts, TlsMode.OPPORTUNISTIC) is False
        refused = await opened(peer, contexts, TlsMode.REQUIRED)
        assert refused.reason is Reason.TLS
        assert await opened(peer, contexts, TlsMode.OPPORTUNISTIC) is True


async def test_a_session_is_for_the_name_that_it_was_made_for(tmp_path):
    contexts = trusting(tmp_path)
    async with ScriptedPeer(tls=server_context(tmp_path, SERVER)) as peer:
        assert await opened(peer, contexts, TlsMode.REQUIRED) is False
        refused = await opened(peer, contexts, TlsMode.REQUIRED, "other.example.net")
        assert "Hostname mismatch" in refused.detail


async def test_what_was_proved_long_ago_is_proved_anew(tmp_path, monkeypatch):
    contexts = trusting(tmp_path)
    now = 1000.0
    monkeypatch.setattr(tls_policy, "monotonic", lambda: now)
    async with ScriptedPeer(tls=server_context(tmp_path, SERVER)) as peer:
        assert await opened(peer, contexts, TlsMode.REQUIRED) is False
        now += 3000
        assert await opened(peer, contexts, TlsMode.REQUIRED) is True
        now += 3000  # that it was resumed in between proved nothing
        assert await opened(peer, contexts, TlsMode.REQUIRED) is False
        contexts.forget()
        assert await opened(peer, contexts, TlsMode.REQUIRED) is False


class Reloaded(TlsContexts):
    """Forgets once, right after a handshake was given its context."""

    is_due = True

    def context(self, *use):
        found = super().context(*use)
        if self.is_due:
            self.is_due = False
            self.forget()
        return found


@pytest.mark.parametrize("mode", [TlsMode.OPPORTUNISTIC, TlsMode.WRAPPER])
async def test_a_reload_during_a_handshake_leaves_no_session_that_does_not_fit(tmp_path, mode):
    contexts = Reloaded(trusting(tmp_path)._ca_file)
    tls = server_context(tmp_path, SERVER)
    async with ScriptedPeer(tls=tls, wrapper=mode is TlsMode.WRAPPER) as peer:
        assert [await opened(peer, contexts, mode) for _ in range(3)] == [False, False, True]


async def test_dane_sees_the_whole_chain_each_time(tmp_path):
    contexts = TlsContexts()
    async with ScriptedPeer(tls=server_context(tmp_path, SERVER, ROOT)) as peer:
        assert [await opened(peer, contexts, TlsMode.DANE_ONLY) for _ in range(2)] == [False, False]


async def test_sessions_have_a_bound(tmp_path, monkeypatch):
    monkeypatch.setattr(tls_policy, "_MAX_SESSIONS", 2)
    contexts = TlsContexts()
    async with ScriptedPeer(tls=server_context(tmp_path, SERVER)) as peer:
        for name in ("a.example", "b.example", "c.example"):
            await opened(peer, contexts, TlsMode.OPPORTUNISTIC, name)
        assert list(contexts.context(TlsMode.OPPORTUNISTIC).sessions) == ["b.example", "c.example"]


@pytest.mark.parametrize("mode", [TlsMode.OPPORTUNISTIC, TlsMode.REQUIRED, TlsMode.WRAPPER])
async def test_a_client_certificate_is_shown_where_it_is_asked_for(tmp_path, mode):
    contexts = trusting(tmp_path)
    us = make("relay", ROOT, names=("relay.example",))
    server_context(tmp_path, us)
    stem = f"{us.certificate.serial_number:x}"
    files = {"client_certificate": str(tmp_path / f"{stem}.pem"), "client_key": str(tmp_path / f"{stem}.key")}
    tls = server_context(tmp_path, SERVER)
    tls.verify_mode = ssl.CERT_REQUIRED
    tls.load_verify_locations(tmp_path / "root.pem")
    tls.maximum_version = ssl.TLSVersion.TLSv1_2  # where a refusal ends the handshake, and is seen by it
    async with ScriptedPeer(tls=tls, wrapper=mode is TlsMode.WRAPPER) as peer:
        assert isinstance(await opened(peer, contexts, mode, **files), bool)
        if mode is not TlsMode.OPPORTUNISTIC:
            assert isinstance(await opened(peer, contexts, mode), Deferred)


def test_a_client_certificate_that_cannot_be_used(tmp_path):
    us, other = make("relay"), make("other")
    for one in (us, other):
        server_context(tmp_path, one)
    certificate = str(tmp_path / f"{us.certificate.serial_number:x}.pem")
    key = str(tmp_path / f"{other.certificate.serial_number:x}.key")
    for file in (key, str(tmp_path / "gone.key"), ""):
        with pytest.raises(ConfigError, match="client certificate"):
            TlsContexts().context(TlsMode.REQUIRED, certificate, file)
