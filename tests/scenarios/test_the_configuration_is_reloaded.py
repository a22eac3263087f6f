"""SIGHUP: what is new is taken over, who is connected stays, and what is wrong changes nothing."""

import shutil
import signal
import ssl
from collections.abc import Iterator

import pytest

from relay.daemon import first
from tests.fakes.prepared import SENDER, Prepared, message, wait_until
from tests.fakes.running import RunningRelay
from tests.scenarios.receiver import Receiver

TO = "someone@receiver.example"


def reload(relay: RunningRelay, says: str) -> None:
    """SIGHUP, until the log says what came of it once more than before."""
    before = relay.log().count(says)
    relay.signal(signal.SIGHUP)
    wait_until(lambda: relay.log().count(says) > before, f"the log says {says!r}")


@pytest.fixture(scope="module")
def started(
    tmp_path_factory: pytest.TempPathFactory, prepared: Prepared, shared_receiver: Receiver
) -> Iterator[RunningRelay]:
    with RunningRelay(tmp_path_factory.mktemp("reloaded"), prepared, next_hop=shared_receiver.port) as relay:
        yield relay
        relay.stop()
        assert "Traceback" not in relay.log()


@pytest.fixture
def relay(started: RunningRelay) -> Iterator[RunningRelay]:
    """One relay of two workers for all tests here; each finds it as it was started."""
    files = [started.file, started.folder / "tls.key", started.folder / "tls.crt"]
    before = [one.read_bytes() for one in files]
    yield started
    for one, content in zip(files, before, strict=True):
        one.write_bytes(content)
    reload(started, "configuration taken over")


def shown_certificate(relay: RunningRelay) -> str:
    return ssl.get_server_certificate(("127.0.0.1", relay.wrapper), timeout=20)


def test_a_new_certificate_is_shown_and_sessions_go_on(
    relay: RunningRelay, shared_receiver: Receiver
) -> None:
    old = (relay.folder / "tls.crt").read_text()
    assert shown_certificate(relay) == old
    with relay.client() as client:
        client.mail(SENDER)
        client.rcpt(TO)
        first.make(relay.folder / "new", first.Choices("relay.test.example"))
        for name in ("tls.key", "tls.crt"):
            shutil.copy(relay.folder / "new" / name, relay.folder / name)
        reload(relay, "configuration taken over")
        code, reply = client.data(message("across the reload"))
        assert code == 250, reply
    assert shared_receiver.wait_for("across the reload")
    new = (relay.folder / "tls.crt").read_text()
    assert new != old
    assert {shown_certificate(relay) for _ in range(8)} == {new}  # of both workers


def test_a_broken_configuration_keeps_the_old_one(relay: RunningRelay, shared_receiver: Receiver) -> None:
    good = relay.file.read_text()
    for broken, why in [
        (good + "\n[limitz]\n", "did you mean 'limits'"),
        (good.replace("[spool]", "[spool"), "not TOML"),
        (good.replace("retry_jitter = 0.0", 'retry_jitter = "much"'), "retry_jitter"),
    ]:
        relay.file.write_text(broken)
        reload(relay, "configuration not taken over; the old one is in force")
        assert why in relay.log()
        relay.send(message(f"in spite of {why}"))
        shared_receiver.wait_for(f"in spite of {why}")
    relay.file.write_text(good)
    reload(relay, "configuration taken over")


def test_a_broken_certificate_keeps_the_old_one(relay: RunningRelay, shared_receiver: Receiver) -> None:
    shown = shown_certificate(relay)
    (relay.folder / "tls.crt").write_text("no certificate")
    reload(relay, "configuration not taken over; the old one is in force")
    assert {shown_certificate(relay) for _ in range(4)} == {shown}


def test_a_new_route_and_a_new_limit_hold(relay: RunningRelay, shared_receiver: Receiver) -> None:
    with Receiver() as other:
        relay.configure(
            more=f'[[route]]\ndomain = "special.example"\nnext_hop = "127.0.0.1:{other.port}"\ntls = "none"\n'
        )
        text = relay.file.read_text().replace("[limits]\n", '[limits]\nmessage_size = "50 KB"\n')
        relay.file.write_text(text)
        reload(relay, "configuration taken over")
        relay.send(message("special"), "x@special.example")
        relay.send(message("ordinary"), "x@ordinary.example")
        assert other.wait_for("special")
        assert shared_receiver.wait_for("ordinary")
        with relay.client() as client:
            assert client.esmtp_features["size"] == "50000"
