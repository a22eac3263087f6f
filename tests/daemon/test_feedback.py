"""Mail that comes back, through the works of a real worker: what is on disk, and who gets it."""

import asyncio
import json
from typing import Any

import pytest

from relay.base import return_path
from relay.base.errors import Refused, SpoolFull
from relay.base.events import Change, EventKind
from relay.base.ids import MessageIds
from relay.base.message import Client, Envelope, Message, Recipient, Submission
from relay.daemon.worker import feedback as module
from relay.daemon.worker.feedback import Feedback
from relay.spool.event_log import EventLog
from tests.daemon.conftest import Started
from tests.fakes.prepared import HOSTNAME, SENDER

BOUNCE = (
    b"From: <mailer-daemon@receiver.example>\r\nSubject: failed\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
    b"--b\r\nContent-Type: text/plain\r\n\r\nNo.\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n"
    b"Reporting-MTA: dns; mx.receiver.example\r\n\r\nFinal-Recipient: rfc822; x@receiver.example\r\n"
    b"Action: failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; 550 5.1.1 unknown\r\n\r\n--b--\r\n"
)
LETTER = b"From: A Person <person@people.example>\r\nSubject: about your mail\r\n\r\nPlease stop.\r\n"


class Room:
    def __init__(self, started: Started, monkeypatch: pytest.MonkeyPatch) -> None:
        self.started, self.works = started, started.works
        self.feedback: Feedback = started.works.feedback
        self.passed_on: list[Message] = []
        monkeypatch.setattr(started.works.outbound.scheduler, "submit", self.passed_on.append)
        ways = {name: getattr(self.feedback._ways, name) for name in self.feedback._ways.__slots__}
        self._ways = ways | {"on_stored": self.passed_on.append}
        self.set_ways()

    def set_ways(self, **ways: Any) -> None:
        self._ways |= ways
        self.feedback._ways = module.Ways(**self._ways)

    def way_back(self, message_id: str) -> str:
        key = self.works.directory.vault().derive(return_path.PURPOSE)
        return f"{return_path.make(message_id, key)}@{HOSTNAME}"

    async def sent(self, sender: str = SENDER) -> str:
        content = f"From: {SENDER}\r\nSubject: x\r\n\r\nhi\r\n".encode()
        recipients = [Recipient(0, "x@receiver.example", "receiver.example")]
        submission = Submission(1, Envelope(sender, recipients), content, Client())
        return (await self.works.intakes[1].accept(submission)).id

    def bounces(self, message_id: str) -> list[dict[str, Any]]:
        log = EventLog(self.works.config.spool.path)
        found = [one.event for one in log.of_message(message_id) if one.event.kind is EventKind.BOUNCE]
        log.close()
        return [json.loads(one.detail) for one in found]


@pytest.fixture
def room(started: Started, monkeypatch: pytest.MonkeyPatch) -> Room:
    return Room(started, monkeypatch)


async def test_event_and_mail_are_stored_together_and_once(room: Room) -> None:
    message_id = await room.sent()
    way_back = room.way_back(message_id)
    await asyncio.gather(*[room.feedback.take(way_back, BOUNCE) for _ in range(5)])
    (bounce,) = room.bounces(message_id)
    (mail,) = room.passed_on
    assert (bounce["recipient"], bounce["source"], bounce["bounce"]) == ("x@receiver.example", "dsn", mail.id)
    assert (mail.sender, [one.address for one in mail.recipients]) == ("", [SENDER])
    assert mail.content is not None
    assert f"X-Relay-Returned: {message_id}\r\n".encode() in mail.content
    assert room.feedback.counts == {"bounce": 1, "duplicate": 4, "forwarded": 1}


async def test_the_simulator_says_who_it_is(room: Room) -> None:
    message_id = await room.sent()
    await room.feedback.take(room.way_back(message_id), BOUNCE, source="simulator")
    assert [one["source"] for one in room.bounces(message_id)] == ["simulator"]


async def test_a_message_that_nobody_knows_is_looked_for_everywhere_once(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[bool] = []
    of_message = EventLog.of_message

    def seen(log: EventLog, message_id: str, has_deliveries: bool = True, *, is_thorough: bool = True) -> Any:
        looked.append(is_thorough)
        return of_message(log, message_id, has_deliveries, is_thorough=is_thorough)

    monkeypatch.setattr(EventLog, "of_message", seen)
    unknown, named = MessageIds(1).make(1.0), MessageIds(1).make(2.0)
    for _ in range(2):
        await room.feedback.take(room.way_back(unknown), BOUNCE)
    complaint = returning(COMPLAINT, f"Message-ID: <{named}@{HOSTNAME}>")
    await room.feedback.take(f"complaints@{HOSTNAME}", complaint)  # anybody can make that id up
    assert looked == [True, False, False]
    assert (room.bounces(unknown), room.passed_on) == ([], [])
    assert room.feedback.counts == {"unknown": 3}


@pytest.mark.parametrize("address", [f"someone@{HOSTNAME}", "x@else.example", f"postmaster@{HOSTNAME}"])
async def test_an_address_that_is_not_ours(room: Room, address: str) -> None:
    with pytest.raises(Refused, match="No such user"):
        await room.feedback.take(address, BOUNCE)


async def test_no_mail_where_the_owner_hears_in_another_way(room: Room) -> None:
    asked = []
    room.set_ways(is_forwarding=lambda account, identity: asked.append((account, identity)))
    message_id = await room.sent()
    await room.feedback.take(room.way_back(message_id), BOUNCE)
    assert asked == [(1, "sender.example")]
    assert room.passed_on == []
    assert [one["bounce"] for one in room.bounces(message_id)] == [""]


async def test_nothing_goes_to_the_null_sender_or_to_ourselves(room: Room) -> None:
    first = await room.sent()
    for sender in ("", room.way_back(first), f"complaints@{HOSTNAME}", f"ooto@simulator.{HOSTNAME}"):
        content = f"From: {SENDER}\r\n\r\n".encode()
        recipients = [Recipient(0, "x@receiver.example", "receiver.example")]
        message, events = room.works.intakes[1].prepare(
            Submission(0, Envelope(sender, recipients), content, Client())
        )
        await room.works.shards[1].commit(Change(events=events))
        await room.feedback.take(room.way_back(message.id), BOUNCE)
        assert len(room.bounces(message.id)) == 1
    assert room.passed_on == []


async def test_what_a_person_writes_is_passed_on_and_not_without_end(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_PLAIN", 3)
    message_id = await room.sent()
    for _ in range(5):
        await room.feedback.take(room.way_back(message_id), LETTER)
    assert len(room.passed_on) == 3
    assert room.bounces(message_id) == []
    assert room.feedback.counts == {"other": 5, "forwarded": 3}


@pytest.mark.parametrize("is_utf8", [False, True])
async def test_a_raw_header_that_came_without_smtputf8_goes_on_without(room: Room, is_utf8: bool) -> None:
    """Else it would go to servers with SMTPUTF8 alone, and be lost without a word at all others."""
    message_id = await room.sent()
    raw = BOUNCE.replace(b"Subject: failed", b"Subject: " + "не дошло".encode("koi8-r"))
    back = Recipient(0, room.way_back(message_id), HOSTNAME)
    envelope = Envelope("", [back], is_utf8=is_utf8)
    await room.feedback.accept(Submission(0, envelope, raw, Client()))
    (mail,) = room.passed_on
    assert (mail.is_utf8, mail.is_8bit) == (is_utf8, True)


@pytest.mark.parametrize("charset", ["utf-7?Q?+2AA-", "unicode_escape?Q?=5Cud800"])
async def test_a_subject_that_no_text_can_have_harms_nobody(room: Room, charset: str) -> None:
    """Half a surrogate pair, which some charsets of Python let through, and no database takes."""
    message_id, other = await room.sent(), await room.sent()
    reply = f"From: x@receiver.example\r\nAuto-Submitted: auto-replied\r\nSubject: =?{charset}?=\r\n\r\n."
    await asyncio.gather(
        room.feedback.take(room.way_back(message_id), reply.encode()),
        room.feedback.take(room.way_back(other), BOUNCE),
        room.sent(),
    )
    assert [one["source"] for one in room.bounces(message_id)] == ["auto-reply"]
    assert [one["source"] for one in room.bounces(other)] == ["dsn"]


async def test_a_mail_that_goes_round_is_told_and_not_passed_on(room: Room) -> None:
    message_id = await room.sent()
    await room.feedback.take(room.way_back(message_id), b"X-Relay-Returned: x\r\n" + BOUNCE)
    assert len(room.bounces(message_id)) == 1
    assert room.passed_on == []
    assert room.feedback.counts["loop"] == 1


async def test_a_person_who_writes_to_the_desk_for_complaints(room: Room) -> None:
    room.set_ways(postmaster=lambda: "admin@people.example")
    await room.feedback.take(f"complaints@{HOSTNAME}", LETTER)
    assert [[r.address for r in one.recipients] for one in room.passed_on] == [["admin@people.example"]]
    room.set_ways(postmaster=lambda: "")
    await room.feedback.take(f"complaints@{HOSTNAME}", LETTER)
    assert len(room.passed_on) == 1


COMPLAINT = (
    b"From: <fbl@people.example>\r\nSubject: complaint\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/report; report-type=feedback-report; boundary="b"\r\n\r\n'
    b"--b\r\nContent-Type: text/plain\r\n\r\nSpam.\r\n--b\r\nContent-Type: message/feedback-report\r\n\r\n"
    b"Feedback-Type: abuse\r\nUser-Agent: x/1\r\nVersion: 1\r\n\r\n--b--\r\n"
)


def returning(report: bytes, *fields: str) -> bytes:
    """The report, with this much of the header of what it is about."""
    header = "".join(f"{one}\r\n" for one in fields).encode()
    return report.replace(
        b"--b--", b"--b\r\nContent-Type: text/rfc822-headers\r\n\r\n" + header + b"\r\n--b--"
    )


def complaints_of(room: Room, message_id: str) -> int:
    log = EventLog(room.works.config.spool.path)
    found = [one for one in log.of_message(message_id) if one.event.kind is EventKind.COMPLAINT]
    log.close()
    return len(found)


async def test_the_desk_takes_a_complaint_by_the_name_of_its_message_and_a_bounce_by_its_proof_alone(
    room: Room,
) -> None:
    message_id, desk = await room.sent(), f"complaints@{HOSTNAME}"
    name = f"Message-ID: <{message_id}@{HOSTNAME}>"
    room.set_ways(postmaster=lambda: "root@admin.example")
    await room.feedback.take(desk, returning(BOUNCE, name))
    reply = f"Auto-Submitted: auto-replied\r\nIn-Reply-To: <{message_id}@{HOSTNAME}>\r\n".encode()
    await room.feedback.take(desk, reply + LETTER)
    assert (room.bounces(message_id), room.passed_on) == ([], [])
    assert room.feedback.counts == {"unknown": 2}
    await room.feedback.take(desk, f"In-Reply-To: <{message_id}@{HOSTNAME}>\r\n".encode() + LETTER)
    (letter,) = room.passed_on  # whom a person writes to is the desk, not who sent that message
    assert [one.address for one in letter.recipients] == ["root@admin.example"]
    await room.feedback.take(desk, returning(COMPLAINT, name))
    assert complaints_of(room, message_id) == 1
    await room.feedback.take(desk, returning(BOUNCE, f"Return-Path: <{room.way_back(message_id)}>"))
    assert len(room.bounces(message_id)) == 1


async def test_a_spool_that_cannot_is_heard_of_and_nothing_is_done(room: Room) -> None:
    class Full:
        def commit(self, change: Change) -> asyncio.Future[None]:
            raise SpoolFull("no room")

    message_id = await room.sent()
    spool = room.feedback._ways.spool
    room.set_ways(spool=Full())
    to = Recipient(0, room.way_back(message_id), HOSTNAME)
    submission = Submission(0, Envelope("", [to]), BOUNCE, Client())
    with pytest.raises(SpoolFull):
        await room.feedback.accept(submission)
    assert (room.bounces(message_id), room.passed_on) == ([], [])
    room.set_ways(spool=spool)
    assert (await room.feedback.accept(submission)).id == "taken"
    assert len(room.bounces(message_id)) == len(room.passed_on) == 1
