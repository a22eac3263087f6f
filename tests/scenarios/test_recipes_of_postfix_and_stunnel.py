"""What only Postfix's recipe does (a login by sender's domain, open sessions), and stunnel's alone."""

import smtplib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.certificate import make_pair
from tests.fakes.prepared import SENDER, Prepared, message, wait_until
from tests.fakes.running import RunningRelay
from tests.scenarios.dialogue import newcomer
from tests.scenarios.mail_server import Target
from tests.scenarios.postfix_behind import PostfixBehind
from tests.scenarios.receiver import Receiver
from tests.scenarios.recipes import STARTTLS, WRAPPER
from tests.scenarios.stunnel import Stunnel

TO = "someone@receiver.example"


@pytest.fixture(scope="module")
def relay(
    tmp_path_factory: pytest.TempPathFactory, prepared: Prepared, shared_receiver: Receiver
) -> Iterator[RunningRelay]:
    folder = tmp_path_factory.mktemp("recipes")
    with RunningRelay(folder, prepared, next_hop=shared_receiver.port, workers=1) as started:
        yield started
        started.stop()
        assert "Traceback" not in started.log()


@pytest.fixture(scope="module")
def postfix(relay: RunningRelay) -> Iterator[PostfixBehind]:
    with PostfixBehind(Target(relay), by_sender=True) as started:
        yield started


def test_postfix_knows_every_setting(postfix: PostfixBehind) -> None:
    assert [line for line in postfix.complaints().splitlines() if line] == []


def test_each_sender_has_the_login_of_its_domain(
    postfix: PostfixBehind, relay: RunningRelay, shared_receiver: Receiver
) -> None:
    directory = relay.directory()
    login = newcomer(directory, "shop", "shop.example.org")
    relay.wait_for_directory(directory)
    directory.close()
    postfix.write_login(*postfix.target.login, "shop.example.org", *login)
    postfix.take_over()
    postfix.send("orders@shop.example.org", [TO], message("of the shop", "orders@shop.example.org"))
    postfix.send(SENDER, [TO], message("of the other"))
    shared_receiver.wait_for("of the shop")
    shared_receiver.wait_for("of the other")
    accepted = [line for line in relay.log().splitlines() if " event=accepted " in line]
    assert [line for line in accepted if "sender=orders@shop.example.org" in line and login[0] in line]
    assert [line for line in accepted if f"sender={SENDER}" in line and login[0] not in line]


def test_postfix_keeps_its_session_for_the_next_message(
    relay: RunningRelay, shared_receiver: Receiver
) -> None:
    with PostfixBehind(Target(relay)) as postfix:
        postfix.send(SENDER, [TO], message("the first"))
        shared_receiver.wait_for("the first")
        postfix.send(SENDER, [TO], message("the second"))
        shared_receiver.wait_for("the second")
        wait_until(lambda: postfix.log().count("status=sent (250") == 2, "both are sent")
        assert "Verified TLS connection reused" in postfix.log()


def send_through(stunnel: Stunnel, login: tuple[str, str], subject: str) -> None:
    """As a program that knows no TLS."""
    with smtplib.SMTP("127.0.0.1", stunnel.port, timeout=30) as client:
        client.login(*login)
        client.sendmail(SENDER, [TO], message(subject))


@pytest.mark.parametrize("way", [WRAPPER, STARTTLS])
def test_stunnel_adds_the_tls(relay: RunningRelay, shared_receiver: Receiver, way: str) -> None:
    with Stunnel(relay, way) as stunnel:
        send_through(stunnel, Target(relay).login, f"stunnel, {way}")
    got = shared_receiver.wait_for(f"stunnel, {way}")
    assert "with ESMTPSA" in got.parsed.get_all("received")[0]


def test_stunnel_refuses_a_certificate_of_another_ca(relay: RunningRelay, tmp_path: Path) -> None:
    stunnel = Stunnel(relay)
    stunnel.trust(make_pair(tmp_path, "localhost")[0])
    with stunnel:
        with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionError)):
            smtplib.SMTP("127.0.0.1", stunnel.port, timeout=30)
        wait_until(lambda: "certificate verify failed" in stunnel.log(), "stunnel says why")
