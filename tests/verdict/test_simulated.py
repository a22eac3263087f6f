"""What the mailboxes of the simulator send back, and to whom they do not."""

from email import message_from_bytes
from email.policy import SMTP

import pytest

from relay.base.events import Change, Event, EventKind
from relay.base.feedback import ReportKind
from relay.base.message import Message, Submission, TlsWish
from relay.codec.report import read
from relay.verdict.bounce import Prepare
from relay.verdict.simulated import SimulatedMail
from tests.fakes.clock import ManualClock
from tests.fakes.spool import NOW, message

DOMAIN = "simulator.example.net"
CONTENT = b"Subject: the order\r\nFrom: a@example.com\r\nMessage-ID: <1@example.net>\r\n\r\nbody\r\n"


class Room:
    def __init__(self) -> None:
        self.asked: list[tuple[int, Submission]] = []
        self.maker = SimulatedMail(
            self.prepare_for,
            lambda message_id: f"{message_id[:4]}-proof@example.net",
            lambda: "complaints@example.net",
            ManualClock(NOW),
        )

    def prepare_for(self, shard: int) -> Prepare:
        def prepare(submission: Submission) -> tuple[Message, list[Event]]:
            self.asked.append((shard, submission))
            made = message("x@example.com", content=submission.content, sender="")
            return made, [Event(1.0, EventKind.SEND, made.id, 0)]

        return prepare

    def make(self, one: Message, content: bytes = CONTENT) -> Change:
        return self.maker.make(one, one.recipients[0], content)


@pytest.fixture
def room() -> Room:
    return Room()


@pytest.mark.parametrize("own", ["", "0000-x@bounces.example.com"])
def test_who_is_out_of_the_office_answers_to_a_return_path_of_ours(room: Room, own: str) -> None:
    one = message(f"ooto+a@{DOMAIN}")
    one.return_path = own
    change = room.make(one)
    ((shard, submission),) = room.asked
    assert [m.content for m in change.stored] == [submission.content]
    assert [e.kind for e in change.events] == [EventKind.SEND]
    assert (shard, submission.account_id, submission.envelope.sender) == (1, 0, "")
    (to,) = submission.envelope.recipients
    assert (to.address, to.domain) == (own or f"{one.id[:4]}-proof@example.net", DOMAIN)
    parsed = message_from_bytes(submission.content, policy=SMTP)
    assert parsed["From"].addresses[0].addr_spec == f"ooto+a@{DOMAIN}"
    assert parsed["To"] == to.address
    report = read(submission.content)
    assert (report.kind, report.message_id) == (ReportKind.AUTO_REPLY, "<1@example.net>")


def test_who_complains_does_so_to_the_desk_for_complaints(room: Room) -> None:
    one = message(f"Complaint+a@{DOMAIN}")
    assert len(room.make(one).stored) == 1
    ((_, submission),) = room.asked
    (to,) = submission.envelope.recipients
    assert (to.address, to.domain) == ("complaints@example.net", DOMAIN)
    report = read(submission.content)
    assert (report.kind, report.feedback_type) == (ReportKind.COMPLAINT, "abuse")
    assert [r.address for r in report.recipients] == [f"Complaint+a@{DOMAIN}"]
    assert report.return_path == f"{one.id[:4]}-proof@example.net"  # which proves whose message it was
    assert (report.message_id, report.arrived_at) == ("<1@example.net>", NOW)


@pytest.mark.parametrize(
    ("local", "sender", "field", "answers"),
    [
        ("ooto", "", b"", False),
        ("ooto", "a@example.com", b"Auto-Submitted: auto-generated\r\n", False),
        ("ooto", "a@example.com", b"Precedence: bulk\r\n", True),
        ("complaint", "", b"", True),
        ("complaint", "a@example.com", b"Auto-Submitted: auto-generated\r\n", True),
    ],
)
def test_what_gets_no_answer(room: Room, local: str, sender: str, field: bytes, answers: bool) -> None:
    one = message(f"{local}@{DOMAIN}", sender=sender)
    assert bool(room.make(one, field + CONTENT).stored) is answers


@pytest.mark.parametrize("local", ["ooto", "complaint"])
def test_what_quotes_a_message_travels_as_it_came(room: Room, local: str) -> None:
    one = message(f"{local}@{DOMAIN}")
    one.tls = TlsWish.REQUIRED
    room.make(one)
    ((_, submission),) = room.asked
    assert submission.envelope.tls is TlsWish.REQUIRED


def test_a_message_that_cannot_be_read_is_answered_too(room: Room) -> None:
    one = message(f"complaint@{DOMAIN}")
    change = room.maker.make(one, one.recipients[0], None)
    assert read(change.stored[0].content or b"").return_path == f"{one.id[:4]}-proof@example.net"
