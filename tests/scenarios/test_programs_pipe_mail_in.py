"""``relay send``, called as programs call sendmail, and its exit status as sysexits has it."""

import pytest

from tests.fakes.prepared import ACCOUNT, DOMAIN, HOSTNAME, SENDER
from tests.fakes.running import RunningRelay
from tests.scenarios.receiver import Receiver

EX_USAGE, EX_DATAERR, EX_NOUSER, EX_UNAVAILABLE = 64, 65, 67, 69
EX_TEMPFAIL, EX_NOPERM, EX_CONFIG = 75, 77, 78


def test_recipients_from_the_header(shared_relay: RunningRelay, shared_receiver: Receiver) -> None:
    text = (
        f"From: {SENDER}\nTo: Some One <one@receiver.example>\n"
        "Cc: two@receiver.example,\n three@receiver.example\n"
        "Bcc: hidden@receiver.example\nSubject: from the header\n\nfirst\n.\nlast\n"
    )
    ended = shared_relay.command("send", "-A", ACCOUNT, "-t", "-i", "-f", SENDER, stdin=text.encode())
    assert (ended.returncode, ended.stderr) == (0, b"")
    got = shared_receiver.wait_for("from the header")
    assert got.sender == SENDER
    assert sorted(got.recipients) == [
        f"{name}@receiver.example" for name in ("hidden", "one", "three", "two")
    ]
    assert b"hidden" not in got.content
    assert got.content.endswith(b"\r\n\r\nfirst\r\n.\r\nlast\r\n")
    assert shared_relay.signatures(got.content) == {DOMAIN: True, HOSTNAME: True}


def test_a_lone_dot_ends_the_message_without_i(shared_relay: RunningRelay, shared_receiver: Receiver) -> None:
    text = f"From: {SENDER}\nSubject: until the dot\n\nfirst\n.\nlast\n"
    ended = shared_relay.command(
        "send", "-A", ACCOUNT, "-f", SENDER, "x@receiver.example", stdin=text.encode()
    )
    assert ended.returncode == 0, ended.stderr
    assert shared_receiver.wait_for("until the dot").content.endswith(b"\r\n\r\nfirst\r\n")


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["-A", ACCOUNT, "-f", SENDER], EX_USAGE, "no recipients"),
        (["-f", SENDER, "x@receiver.example"], EX_USAGE, "name the account"),
        (["-A", ACCOUNT, "--nonsense", "-f", SENDER, "x@receiver.example"], EX_USAGE, "--nonsense"),
        (["-A", ACCOUNT, "-f", SENDER, "not an address"], EX_NOUSER, "no @"),
        (["-A", ACCOUNT, "-f", SENDER, "x@receiver.example\r\nDATA"], EX_NOUSER, "control character"),
        (["-A", ACCOUNT, "-f", "not an address", "x@receiver.example"], EX_DATAERR, "no @"),
        (["-A", "nobody", "-f", SENDER, "x@receiver.example"], EX_NOPERM, "no such account"),
        (["-A", ACCOUNT, "-f", "x@elsewhere.example", "x@receiver.example"], EX_UNAVAILABLE, "not verified"),
    ],
)
def test_exit_status(shared_relay: RunningRelay, words: list[str], status: int, said: str) -> None:
    sender = words[words.index("-f") + 1]
    text = f"From: {sender}\nSubject: never\n\n.\n".encode()
    ended = shared_relay.command("send", *words, stdin=text)
    assert ended.returncode == status, ended.stderr
    assert said in ended.stderr.decode()


def test_a_relay_that_does_not_run_is_temporary(shared_relay: RunningRelay) -> None:
    elsewhere = shared_relay.folder / "other.toml"
    elsewhere.write_text('[spool]\npath = "other-spool"\n')
    ended = shared_relay.command(
        "send", "-c", str(elsewhere), "-A", ACCOUNT, "x@receiver.example", stdin=b"Subject: x\n\nx\n"
    )
    assert ended.returncode == EX_TEMPFAIL, ended.stderr
    elsewhere.write_text("[nonsense]\n")
    ended = shared_relay.command("send", "-c", str(elsewhere), "-A", ACCOUNT, "x@receiver.example")
    assert ended.returncode == EX_CONFIG
