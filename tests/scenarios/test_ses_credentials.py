"""Credentials as users of SES know them: the id, the secret, both passwords, two at a time, and their end.

The passwords are derived here once more, from the secret as ``relay credential create`` prints it, with
nothing of the relay's own: what a client computes must open.
"""

import base64
import hashlib
import hmac
import json
import re
import smtplib
from contextlib import closing

import pytest

from tests.fakes.prepared import wait_until
from tests.fakes.running import RunningRelay
from tests.scenarios.conftest import StartRelay
from tests.scenarios.dialogue import OK, content, encoded, newcomer, say, sent, speak
from tests.scenarios.receiver import Receiver
from tests.scenarios.test_the_directory_changes_while_it_runs import BOUND_S

REGION = "us-east-1"
IN, WRONG = "235 2.7.0 Authentication successful.", "535 5.7.8 Authentication Credentials Invalid"
NO_LONGER = "554 5.7.1 Access denied: the credential of this session is no longer active."


def sign(key: bytes, message: str) -> bytes:
    return hmac.new(key, message.encode(), hashlib.sha256).digest()


def newer(secret: str, region: str = REGION, version: bytes = b"\x04") -> str:
    key = ("AWS4" + secret).encode()
    for part in ("11111111", region, "ses", "aws4_request", "SendRawEmail"):
        key = sign(key, part)
    return base64.b64encode(version + key).decode()


def older(secret: str) -> str:
    return base64.b64encode(b"\x02" + sign(secret.encode(), "SendRawEmail")).decode()


PASSWORDS = {
    "the newer derivation": (newer, IN),
    "the older derivation": (older, IN),
    "for another region": (lambda secret: newer(secret, "eu-west-1"), WRONG),
    "with another version": (lambda secret: newer(secret, version=b"\x03"), WRONG),
    "the secret itself": (lambda secret: secret, WRONG),
    "none": (lambda secret: "", WRONG),
}


@pytest.mark.parametrize(
    ("row", "mechanism"),
    # a failure with one mechanism each: they are counted, and answered ever later
    [(row, "PLAIN") for row in PASSWORDS] + [(row, "LOGIN") for row in PASSWORDS if PASSWORDS[row][1] == IN],
)
def test_what_opens(shared_relay: RunningRelay, row: str, mechanism: str) -> None:
    derive, reply = PASSWORDS[row]
    prepared = shared_relay.prepared
    with closing(shared_relay.connect()) as client:
        assert log_in(client, prepared.username, derive(prepared.secret), mechanism) == reply
        if reply == WRONG:  # the right one still opens, and ends the count
            assert log_in(client, prepared.username, newer(prepared.secret)) == IN


def log_in(client: smtplib.SMTP, username: str, password: str, mechanism: str = "PLAIN") -> str:
    if mechanism == "PLAIN":
        return say(client, "AUTH PLAIN " + encoded(f"\0{username}\0{password}"))
    assert say(client, "AUTH LOGIN") == "334 VXNlcm5hbWU6"
    assert say(client, encoded(username)) == "334 UGFzc3dvcmQ6"
    return say(client, encoded(password))


def run(relay: RunningRelay, *words: str) -> str:
    """What a command prints, or the line with which it fails."""
    done = relay.command(*words)
    return (done.stdout if done.returncode == 0 else done.stderr).decode()


def test_a_credential_is_an_id_and_a_secret_shown_once(shared_relay: RunningRelay) -> None:
    run(shared_relay, "account", "create", "shown-once")
    made = json.loads(run(shared_relay, "credential", "create", "shown-once", "--json"))
    assert re.fullmatch("RLAY[A-Z2-7]{16}", made["access_key_id"])
    assert len(made["secret"]) == 40
    assert made["smtp_username"] == made["access_key_id"]
    assert made["smtp_password"] == newer(made["secret"])
    listed = run(shared_relay, "credential", "list", "--json")
    assert made["access_key_id"] in listed
    for hidden in (made["secret"], made["smtp_password"], older(made["secret"])):
        assert hidden not in listed
        assert hidden not in shared_relay.log()


def test_one_is_rotated_while_the_other_is_in_use(
    shared_relay: RunningRelay, shared_receiver: Receiver
) -> None:
    directory = shared_relay.directory()
    old = newcomer(directory, "rotating", "rotating.example")
    sender = "a@rotating.example"
    row = sent(sender, content(sender), OK)

    new = json.loads(run(shared_relay, "credential", "create", "rotating", "--json"))
    shared_relay.wait_for_directory(directory)
    third = run(shared_relay, "credential", "create", "rotating")
    assert third == (
        "relay: account 'rotating' has 2 active credentials already: disable or delete one that is no longer "
        "used, see `relay credential list rotating`\n"
    )
    with (
        closing(shared_relay.client(*old)) as with_old,
        closing(shared_relay.client(new["smtp_username"], new["smtp_password"])) as with_new,
    ):
        speak(with_old, row)
        speak(with_new, row)

        assert run(shared_relay, "credential", "disable", old[0]) == f"{old[0]} is inactive\n"
        # in every worker: the session that is open sends no more, nobody logs in, the other is as it was
        wait_until(lambda: refuses(with_old, sender), "the session ends with its credential", BOUND_S)
        shared_relay.wait_for_directory(directory)
        speak(with_old, sent(sender, content(sender), NO_LONGER))
        speak(with_new, row)
        with closing(shared_relay.connect()) as client:
            assert log_in(client, *old) == WRONG
            assert log_in(client, new["smtp_username"], new["smtp_password"]) == IN

        assert run(shared_relay, "credential", "enable", old[0]) == f"{old[0]} is active\n"
        shared_relay.wait_for_directory(directory)
        speak(with_old, row)
        assert run(shared_relay, "credential", "delete", old[0]) == f"{old[0]} is deleted\n"
        shared_relay.wait_for_directory(directory)
        speak(with_old, sent(sender, content(sender), NO_LONGER))
        speak(with_new, row)
    directory.close()


def refuses(client: smtplib.SMTP, sender: str) -> bool:
    say(client, "RSET")
    for words, _ in sent(sender, content(sender), OK):
        heard = say(client, words)
    return heard == NO_LONGER


def test_the_last_use_is_known_once_the_workers_have_written_it(start_relay: StartRelay) -> None:
    """They do so every minute, and at their end, which is what is waited for here."""
    relay = start_relay()
    directory = relay.directory()
    used, unused = (newcomer(directory, name) for name in ("in-use", "never-used"))
    relay.wait_for_directory(directory)
    revision = directory.revision()
    relay.client(*used).close()
    relay.stop()
    listed = json.loads(run(relay, "credential", "list", "--json"))
    last = {row["access_key_id"]: row["last_used"] for row in listed}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", last[used[0]])
    assert last[unused[0]] is None
    assert directory.revision() == revision
    directory.close()
