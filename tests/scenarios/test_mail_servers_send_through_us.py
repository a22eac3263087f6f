"""An administrator's mail server takes us as its smarthost: Postfix, Exim and Sendmail by our recipes.

Each is started once, and stays: what goes wrong (a password, a certificate, a limit, our own trouble) is
mended as its recipe says, and then its queue is run.
"""

import shutil
import smtplib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.certificate import make_pair
from tests.fakes.prepared import DOMAIN, SENDER, Prepared, message, wait_until
from tests.fakes.running import RunningRelay
from tests.scenarios.dialogue import newcomer
from tests.scenarios.exim_behind import EximBehind
from tests.scenarios.mail_server import LOCAL, MailServer, Target
from tests.scenarios.postfix_behind import PostfixBehind
from tests.scenarios.receiver import Receiver
from tests.scenarios.recipes import STARTTLS
from tests.scenarios.sendmail_behind import SendmailBehind
from tests.scenarios.stunnel import Stunnel
from tests.scenarios.test_the_configuration_is_reloaded import reload

SERVERS: dict[str, type[MailServer]] = {
    "postfix": PostfixBehind,
    "exim": EximBehind,
    "sendmail": SendmailBehind,
}
TO = "someone@receiver.example"
TAKEN_OVER = "configuration taken over"
UNVERIFIED = "554 5.7.1 Message rejected: Email address is not verified."


@pytest.fixture(scope="module")
def relay(
    tmp_path_factory: pytest.TempPathFactory, prepared: Prepared, shared_receiver: Receiver
) -> Iterator[RunningRelay]:
    folder = tmp_path_factory.mktemp("smarthost")
    with RunningRelay(folder, prepared, next_hop=shared_receiver.port, workers=1) as started:
        yield started
        started.stop()
        assert "Traceback" not in started.log()


@pytest.fixture(scope="module")
def stunnel(relay: RunningRelay) -> Iterator[Stunnel]:
    with Stunnel(relay) as started:
        yield started


@pytest.fixture(scope="module")
def target(relay: RunningRelay, stunnel: Stunnel) -> Target:
    return Target(relay, stunnel.port)


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest, target: Target) -> Iterator[MailServer]:
    """With STARTTLS and AUTH. Each test leaves its queue empty, and its login and CAs right."""
    with SERVERS[request.param](target) as started:
        yield started


def subject_of(server: MailServer, words: str) -> str:
    return f"{type(server).__name__}: {words}"


def wait_for_no_session(relay: RunningRelay) -> None:
    """Servers keep sessions open for the next message; it would go by the login and certificate of before."""
    wait_until(lambda: relay.count("client_sessions") == 0, "no client is connected")


def change_certificate(relay: RunningRelay, chain: Path, key: Path) -> None:
    shutil.copy(chain, relay.folder / "tls.crt")
    shutil.copy(key, relay.folder / "tls.key")
    reload(relay, TAKEN_OVER)
    wait_for_no_session(relay)


@pytest.fixture
def own_certificate(server: MailServer, relay: RunningRelay, tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """A copy of the relay's certificate and key, which are in force again after the test."""
    chain, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    for one in (chain, key):
        shutil.copy(relay.folder / one.name, one)
    yield chain, key
    if (relay.folder / "tls.crt").read_bytes() != chain.read_bytes():
        change_certificate(relay, chain, key)
        server.trust(chain)


@pytest.fixture
def own_login(server: MailServer, relay: RunningRelay) -> Iterator[tuple[str, str]]:
    """User name and password, which the server has again after the test."""
    yield server.target.login
    server.log_in(*server.target.login)
    wait_for_no_session(relay)


OTHER_WAYS = [(name, way) for name, server in SERVERS.items() for way in server.ways if way != STARTTLS]


@pytest.mark.parametrize(("name", "way"), OTHER_WAYS)
def test_mail_goes_another_way(target: Target, shared_receiver: Receiver, name: str, way: str) -> None:
    subject = f"{name}, {way}"
    with SERVERS[name](target, way) as server:
        server.send(SENDER, [TO], message(subject))
        got = shared_receiver.wait_for(subject)
    assert got.recipients == [TO]
    assert "with ESMTPSA" in got.parsed.get_all("received")[0]


def test_8_bit_content_goes_as_it_is(
    server: MailServer, relay: RunningRelay, shared_receiver: Receiver
) -> None:
    subject = subject_of(server, "8 bit")
    body = "Grüße, Żółw, 日本語\r\n".encode() + bytes(range(0xA0, 0x100)) + b"\r\n.\r\n..\r\n"
    head = (
        b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"
    )
    content = head + message(subject)[: -len(f"Hello {subject}\r\n")] + body
    server.send(SENDER, [TO, "another@receiver.example"], content, mail=["BODY=8BITMIME"])
    got = shared_receiver.wait_for(subject)
    assert got.sender == SENDER
    assert sorted(got.recipients) == ["another@receiver.example", TO]
    assert got.content.endswith(b"\r\n\r\n" + body)
    assert relay.signatures(got.content) == {DOMAIN: True, "relay.test.example": True}
    assert "with ESMTPSA" in got.parsed.get_all("received")[0]


def test_internationalized_addresses_go_as_they_are(server: MailServer, shared_receiver: Receiver) -> None:
    subject = subject_of(server, "grüße")
    to = "grüße@receiver.example"
    if isinstance(server, SendmailBehind):  # Debian builds it without: its clients hear of it at once
        with pytest.raises(smtplib.SMTPNotSupportedError):
            server.send(SENDER, [to], message(subject, to=to), mail=["SMTPUTF8"])
        return
    server.send(SENDER, [to], message(subject, to=to), mail=["SMTPUTF8"])
    assert shared_receiver.wait_for(subject).recipients == [to]


def test_60_recipients_go_in_two_messages(server: MailServer, shared_receiver: Receiver) -> None:
    subject = subject_of(server, "60 recipients")
    recipients = [f"someone{number}@receiver.example" for number in range(60)]
    server.send(SENDER, recipients, message(subject))

    def arrived() -> list[list[str]]:
        found = [one.recipients for one in list(shared_receiver.received) if one.subject == subject]
        return found if sum(map(len, found)) >= 60 else []

    found = wait_until(arrived, "all recipients have it")
    assert sorted(one for some in found for one in some) == sorted(recipients)
    assert "Too many recipients" not in server.log()


def test_ten_megabytes(server: MailServer, shared_receiver: Receiver) -> None:
    subject = subject_of(server, "10 MB")
    line = b"0123456789abcdef" * 4 + b"\r\n"
    body = line * (9_900_000 // len(line))
    server.send(SENDER, [TO], message(subject) + body)
    got = shared_receiver.wait_for(subject, timeout_s=60)
    assert got.content.endswith(body)


def test_what_the_relay_would_not_take_is_refused_at_once(server: MailServer) -> None:
    with pytest.raises(AssertionError, match=r"exceeds|too large|maximum"):
        server.send(SENDER, [TO], b"", mail=["SIZE=10600000"])


def test_a_report_of_success_is_asked_for(server: MailServer, shared_receiver: Receiver) -> None:
    subject = subject_of(server, "reported")
    to = f"{type(server).__name__}-reported@receiver.example".lower()
    server.send(SENDER, [to], message(subject), mail=["RET=HDRS", "ENVID=order-17"], rcpt=["NOTIFY=SUCCESS"])
    report = shared_receiver.wait_for_bounce(to)
    assert report.recipients == [SENDER]
    assert b"Original-Envelope-Id: order-17" in report.content
    assert b"Action: relayed" in report.content


@pytest.mark.usefixtures("own_login")
def test_what_exceeds_the_rate_waits(
    server: MailServer, relay: RunningRelay, shared_receiver: Receiver
) -> None:
    name = type(server).__name__.lower()
    sender = f"app@{name}.example"
    directory = relay.directory()
    login = newcomer(directory, name, f"{name}.example", max_send_rate=0.01)
    relay.wait_for_directory(directory)
    server.log_in(*login)
    wait_for_no_session(relay)
    subjects = [subject_of(server, f"number {number}") for number in range(2)]
    for subject in subjects:
        server.send(sender, [TO], message(subject, sender))
        shared_receiver.wait_for(subjects[0])
    server.waits_with("454 4.7.1 Throttling failure: Maximum sending rate")
    assert subjects[1] not in shared_receiver.subjects()
    directory.accounts.set(name, max_send_rate=-1)
    relay.wait_for_directory(directory)
    directory.close()
    server.flush_until(lambda: subjects[1] in shared_receiver.subjects(), "it arrives")


def test_our_own_trouble_is_waited_out(
    server: MailServer, relay: RunningRelay, shared_receiver: Receiver, tmp_path: Path
) -> None:
    subject = subject_of(server, "not scanned")
    relay.configure(1, f'[content]\nscanner = "unix:{tmp_path}/clamd"\n')
    reload(relay, TAKEN_OVER)
    try:
        server.send(SENDER, [TO], message(subject))
        server.waits_with("451 4.7.1 Temporary service failure")
    finally:
        relay.configure(1, "")
        reload(relay, TAKEN_OVER)
    server.flush_until(lambda: subject in shared_receiver.subjects(), "it arrives")


def test_a_sender_that_is_not_ours_gets_it_back(server: MailServer) -> None:
    server.send(LOCAL, [TO], message("refused", LOCAL))
    server.flush_until(lambda: UNVERIFIED in " ".join(server.inbox().split()), "the sender hears of it")
    bounce = " ".join(server.inbox().split())
    assert f"failed the check: {LOCAL}" in bounce
    assert TO in bounce


def test_mail_waits_for_the_right_password(
    server: MailServer, relay: RunningRelay, shared_receiver: Receiver, own_login: tuple[str, str]
) -> None:
    subject = subject_of(server, "wrong password")
    username, password = own_login
    before = server.inbox()
    server.log_in(username, "wrong")
    wait_for_no_session(relay)
    server.send(SENDER, [TO], message(subject))
    server.waits_with(server.says_of_password)
    server.log_in(username, password)
    server.flush_until(lambda: subject in shared_receiver.subjects(), "it arrives")
    assert server.inbox() == before


def test_mail_waits_for_the_right_certificate(
    server: MailServer,
    relay: RunningRelay,
    shared_receiver: Receiver,
    own_certificate: tuple[Path, Path],
    tmp_path: Path,
) -> None:
    """Of a CA that the server does not know; then of one that it knows, but for another name."""
    subject = subject_of(server, "wrong certificate")
    unknown = make_pair(tmp_path, "localhost")
    change_certificate(relay, *unknown)
    server.send(SENDER, [TO], message(subject))
    wait_until(lambda: server.says_of_unknown in server.queue() + server.log(), "it is refused for its CA")
    elsewhere = make_pair(tmp_path, "elsewhere.example")
    change_certificate(relay, *elsewhere)
    server.trust(elsewhere[0])
    server.flush()
    wait_until(lambda: server.says_of_name in server.queue() + server.log(), "it is refused for its name")
    assert subject not in shared_receiver.subjects()
    change_certificate(relay, *own_certificate)
    server.trust(own_certificate[0])
    server.flush_until(lambda: subject in shared_receiver.subjects(), "it arrives")
