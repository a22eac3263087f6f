"""Applications as ``conf/clients`` has them, each in its language, with the library that most use there."""

from collections.abc import Callable

import pytest

from tests.fakes.prepared import DOMAIN, HOSTNAME, SENDER, wait_until
from tests.fakes.running import RunningRelay
from tests.scenarios.applications import APPLICATIONS, STARTTLS, WRAPPER, Application, Login
from tests.scenarios.receiver import Receiver

TO = "someone@receiver.example"
LATER, NEVER = 75, 69
FULL = "full.example"

Apply = Callable[[str], Application]


@pytest.fixture(scope="module")
def apply(shared_relay: RunningRelay) -> Apply:
    """An application by its name; it is prepared once."""
    made: dict[str, Application] = {}

    def prepared(name: str) -> Application:
        if name not in made:
            folder = shared_relay.folder / name.replace(" ", "-")
            made[name] = APPLICATIONS[name](folder, shared_relay)
        return made[name]

    return prepared


@pytest.fixture(scope="module")
def full_account(shared_relay: RunningRelay) -> Login:
    """The login of an account whose quota is used up."""
    directory = shared_relay.directory()
    directory.accounts.create("full", "postmaster@full.example", max_send_rate=-1, max_24_hours=1)
    directory.identities.add("full", FULL, is_verified=True)
    made = directory.credentials.create("full")
    shared_relay.wait_for_directory(directory)
    directory.close()
    with shared_relay.client(made.smtp_username, made.smtp_password) as client:
        client.sendmail(f"a@{FULL}", [TO], f"From: a@{FULL}\r\nSubject: the only one\r\n\r\n".encode())
    return made.smtp_username, made.smtp_password


def login(relay: RunningRelay) -> Login:
    return relay.prepared.username, relay.prepared.password


@pytest.mark.parametrize("tls", [STARTTLS, WRAPPER])
@pytest.mark.parametrize("name", APPLICATIONS)
def test_a_message_to_several_with_an_attachment(
    shared_relay: RunningRelay, shared_receiver: Receiver, apply: Apply, name: str, tls: str
) -> None:
    subject = f"Grüße {name} {tls}"
    to = [TO, "another@receiver.example"]
    done = apply(name).run(tls, login(shared_relay), SENDER, subject, to)
    assert (done.returncode, done.stderr) == (0, ""), done
    got = shared_receiver.wait_for(subject)
    assert got.sender == SENDER
    assert sorted(got.recipients) == sorted(to)
    assert "with ESMTPSA" in got.parsed.get_all("received")[0]
    assert shared_relay.signatures(got.content) == {DOMAIN: True, HOSTNAME: True}
    text, attached = (part for part in got.parsed.walk() if not part.is_multipart())
    assert "Grüße aus" in text.get_payload(decode=True).decode()
    assert attached.get_filename() == "list.csv"
    assert attached.get_payload(decode=True).decode().splitlines() == ["no,name", "1,Jörg"]
    if apply(name).tells_replies:
        message_id = got.parsed["message-id"].strip("<>").partition("@")[0]
        assert f"sent 250 2.6.0 Ok {message_id}" in done.stdout.replace("sent 2.6.0", "sent 250 2.6.0")


@pytest.mark.parametrize("name", APPLICATIONS)
def test_a_sender_that_is_not_verified_is_final(shared_relay: RunningRelay, apply: Apply, name: str) -> None:
    done = apply(name).run(STARTTLS, login(shared_relay), "x@elsewhere.example", "never", [TO])
    assert done.returncode == NEVER, done
    assert "554" in done.stderr
    assert "Email address is not verified." in done.stderr


@pytest.mark.parametrize("name", APPLICATIONS)
def test_a_quota_that_is_used_up_is_for_later(apply: Apply, full_account: Login, name: str) -> None:
    done = apply(name).run(STARTTLS, full_account, f"a@{FULL}", "never", [TO])
    assert done.returncode == LATER, done
    assert "454" in done.stderr
    assert "Throttling failure: Daily message quota exceeded" in done.stderr


@pytest.mark.parametrize("name", ["nodemailer", "PHPMailer", "Jakarta Mail"])  # it takes long, by intention
def test_a_wrong_password_is_final(shared_relay: RunningRelay, apply: Apply, name: str) -> None:
    done = apply(name).run(WRAPPER, (login(shared_relay)[0], "wrong"), SENDER, "never", [TO])
    assert done.returncode == NEVER, done
    assert "535" in done.stderr


@pytest.mark.parametrize("name", APPLICATIONS)
def test_a_certificate_that_is_not_to_be_trusted_gets_no_password(
    shared_relay: RunningRelay, apply: Apply, name: str
) -> None:
    before = shared_relay.count("auth_successes")
    done = apply(name).run(STARTTLS, login(shared_relay), SENDER, "never", [TO], is_trusting=False)
    assert done.returncode == LATER, done
    assert shared_relay.count("auth_successes") == before


@pytest.mark.parametrize("name", APPLICATIONS)
def test_those_who_are_not_refused_get_it(
    shared_relay: RunningRelay, shared_receiver: Receiver, apply: Apply, name: str
) -> None:
    subject = f"{name} to 51"
    to = [f"r{number:02d}@receiver.example" for number in range(51)]
    done = apply(name).run(STARTTLS, login(shared_relay), SENDER, subject, to)
    if not apply(name).splits:
        assert (done.returncode, "452" in done.stderr) == (LATER, True), done
        return
    assert done.returncode == 0, done
    assert "refused" in done.stdout
    assert to[50] in done.stdout
    assert to[49] not in done.stdout

    def served() -> list[str]:
        got = [one for one in list(shared_receiver.received) if one.subject == subject]
        return sorted(recipient for one in got for recipient in one.recipients)

    wait_until(lambda: served() == to[:50], "the first fifty have it, once each")
