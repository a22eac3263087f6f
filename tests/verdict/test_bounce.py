"""The bounce: to whom, from whom, in which transaction; what it says is the codec's matter."""

from email import message_from_bytes
from email.policy import SMTP
from pathlib import Path

import pytest

from relay.base.events import Event, EventKind
from relay.base.message import Message, Submission, TlsWish
from relay.base.outcome import Delivered, Failed, Reason, Scope
from relay.base.reply import Reply
from relay.verdict.bounce import BounceMaker, Prepare
from tests.fakes.clock import ManualClock
from tests.fakes.spool import message

CONTENT = b"Subject: the order\r\nFrom: a@example.com\r\n\r\nbody\r\n"
NO_SUCH = Failed(Scope.RECIPIENT, Reason.REFUSED, Reply(550, "no such user", "5.1.1"))


class Intakes:
    """The preparing half of each shard's intake."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, Submission]] = []

    def __call__(self, shard: int) -> Prepare:
        def prepare(submission: Submission) -> tuple[Message, list[Event]]:
            self.asked.append((shard, submission))
            made = message("x@example.com", content=submission.content, sender="")
            return made, [Event(1.0, EventKind.SEND, made.id, 0)]

        return prepare


def made(failed: Message, content: bytes | Path | None) -> tuple[Submission, int]:
    intakes = Intakes()
    failures = [(one, NO_SUCH) for one in failed.recipients]
    change = BounceMaker("relay.example", intakes, ManualClock()).make(failed, failures, content)
    ((shard, submission),) = intakes.asked
    assert [one.content for one in change.stored] == [submission.content]
    assert [one.kind for one in change.events] == [EventKind.SEND]
    assert change.settled + change.finished == []  # that is the caller's part of the transaction
    return submission, shard


def test_it_goes_to_the_sender_from_nobody_in_our_name() -> None:
    submission, shard = made(message("b@example.org", "c@example.org", sender="a@Example.com"), CONTENT)
    (recipient,) = submission.envelope.recipients
    assert (recipient.address, recipient.domain) == ("a@Example.com", "example.com")
    assert (submission.envelope.sender, submission.account_id, shard) == ("", 0, 1)
    parsed = message_from_bytes(submission.content, policy=SMTP)
    assert parsed.get_content_type() == "multipart/report"
    assert "relay.example" in str(parsed["From"])
    assert all(word in submission.content for word in (b"b@example.org", b"c@example.org", b"the order"))


def test_the_header_of_a_large_message_is_read_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(CONTENT + b"x" * 1_000_000)
    submission, _ = made(message("b@example.org"), tmp_path / "large")
    assert b"Subject: the order" in submission.content
    assert len(submission.content) < 100_000


@pytest.mark.parametrize("is_lost", [True, False])
def test_the_sender_hears_of_it_even_if_the_content_is_lost(tmp_path: Path, is_lost: bool) -> None:
    submission, _ = made(message("b@example.org"), tmp_path / "lost" if is_lost else None)
    assert b"550 5.1.1 no such user" in submission.content


def test_a_bounce_that_cannot_be_made_is_the_callers_to_know() -> None:
    def refuse(shard: int) -> Prepare:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError):
        BounceMaker("relay.example", refuse, ManualClock()).make(message("b@example.org"), [], CONTENT)


def test_a_sender_beyond_ascii_hears_also_of_a_message_that_was_plain() -> None:
    """Its MAIL FROM was a return path of ours, so that receivers needed no SMTPUTF8; the bounce does."""
    failed = message("b@example.org", sender="jörg@example.com")
    assert not failed.is_utf8
    submission, _ = made(failed, CONTENT)
    assert submission.envelope.is_utf8
    assert "To: <jörg@example.com>".encode() in submission.content


def test_a_report_of_success_goes_the_same_way(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(CONTENT + b"x" * 1_000_000)
    served = message("b@example.org", sender="a@Example.com")
    intakes = Intakes()
    outcome = Delivered(Reply(250, "queued", "2.0.0"))
    change = BounceMaker("relay.example", intakes, ManualClock()).make_success(
        served, [(one, outcome) for one in served.recipients], tmp_path / "large"
    )
    ((shard, submission),) = intakes.asked
    assert [one.content for one in change.stored] == [submission.content]
    (recipient,) = submission.envelope.recipients
    assert (recipient.address, submission.envelope.sender, shard) == ("a@Example.com", "", 1)
    assert b"Action: relayed" in submission.content
    assert b"the order" in submission.content


@pytest.mark.parametrize("wish", list(TlsWish))
def test_a_report_travels_as_its_message_did(wish: TlsWish) -> None:
    failed = message("b@example.org", sender="a@example.com")
    failed.tls = wish
    submission, _ = made(failed, CONTENT)
    assert submission.envelope.tls is wish
