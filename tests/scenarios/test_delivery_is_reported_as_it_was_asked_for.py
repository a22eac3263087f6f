"""Every NOTIFY by what became of the message, by RET, by whether the next hop speaks DSN (RFC 3461, 3464).

Each case is an attempt of a real session at a scripted receiver, judged and told as in the relay, with the
clock in the test's hand. What the receiver was asked, and each notice as Python's own parser reads it, is
compared with what the standards say.
"""

from email import message_from_bytes
from email.policy import SMTP
from itertools import product

import pytest

from relay.base.events import EventKind
from relay.base.message import Attempt, Message, Recipient
from relay.base.outcome import Deferred, Reason, Scope
from relay.base.route import Host, Route
from relay.traffic.backoff import RetrySchedule
from relay.transport.opening import open_session
from relay.transport.session import Session
from relay.transport.settings import SessionSettings
from relay.transport.tls_policy import TlsContexts
from relay.verdict.bounce import BounceMaker
from relay.verdict.settle import Settler
from tests.fakes.clock import ManualClock
from tests.fakes.sink import Sink
from tests.fakes.spool import NOW, message
from tests.verdict.test_bounce import Intakes
from tests.verdict.test_settle import Lines

NOTIFY = [
    "", "NEVER", "SUCCESS", "FAILURE", "DELAY", "SUCCESS,FAILURE", "SUCCESS,DELAY", "FAILURE,DELAY",
    "SUCCESS,FAILURE,DELAY",
]  # fmt: skip
HOUR, MAX_AGE = 3600.0, 14 * 3600.0
BODY = b"Hello, this is the body.\r\n"
CONTENT = b"From: app@sender.example\r\nSubject: the order\r\nMessage-ID: <1@sender.example>\r\n\r\n" + BODY

#            reply to RCPT               age         NOTIFY that asks for it   action     status
EVENTS = {
    "success": ("250 2.1.5 Ok", 1.0, "SUCCESS", "relayed", "2.0.0"),
    "delay": ("450 4.2.0 Later", 5 * HOUR, "DELAY", "delayed", "4.2.0"),
    "early": ("450 4.2.0 Later", 3 * HOUR, "", "", ""),
    "failure": ("550 5.1.1 Unknown", 1.0, "FAILURE", "failed", "5.1.1"),
    "expiry": ("450 4.2.0 Later", MAX_AGE, "FAILURE", "failed", "4.2.0"),
}


class World:
    """One receiver, and the relay's way out to it."""

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.clock, self.intakes = ManualClock(NOW), Intakes()
        maker = BounceMaker("relay.example", self.intakes, self.clock)
        self.settler = Settler(RetrySchedule((HOUR,), 0.0), maker, self.clock, Lines(), lambda: 0.5)

    async def attempt(self, one: Message):
        host = Host("127.0.0.1", self.sink.port)
        route = Route("hop:x", (host,))
        settings = SessionSettings("relay.example")
        session = await open_session(host, "127.0.0.1", route, settings, TlsContexts())
        assert isinstance(session, Session)
        attempt = Attempt(one, one.recipients, "hop:x")
        outcomes = await session.deliver(attempt, CONTENT, lambda: None)
        session.abort()
        wants = self.settler.wants_content(attempt, outcomes)
        change = self.settler.judge(attempt, outcomes, CONTENT)
        assert wants is bool(change.stored)
        return change


def mail(notify: str, ret: str = "", sender: str = "app@sender.example") -> Message:
    one = message("user@receiver.example", content=CONTENT, sender=sender, max_age=MAX_AGE)
    one.key, one.ret, one.envid = 7, ret, "QQ 314+159"
    one.recipients[0].notify = notify
    one.recipients[0].orcpt = "rfc822;first+one@elsewhere.example"
    return one


@pytest.mark.parametrize("offered", ["", "8BITMIME", "SMTPUTF8", "8BITMIME SMTPUTF8"])
@pytest.mark.parametrize(
    ("recipient", "sender", "header", "is_8bit", "needs", "status", "sent"),
    [
        ("a@r.example", "a@s.example", False, False, "", "", "a@r.example"),
        ("a@bücher.example", "a@s.example", False, False, "", "", "a@xn--bcher-kva.example"),
        ("a@r.example", "a@bücher.example", False, False, "", "", "a@r.example"),
        ("rené@r.example", "a@s.example", False, False, "SMTPUTF8", "5.6.7", "rené@r.example"),
        ("rené@bücher.example", "a@s.example", False, False, "SMTPUTF8", "5.6.7", "rené@bücher.example"),
        ("a@r.example", "jörg@s.example", False, False, "SMTPUTF8", "5.6.7", "a@r.example"),
        ("a@r.example", "a@s.example", True, True, "8BITMIME SMTPUTF8", "5.6.9", "a@r.example"),
        ("a@r.example", "a@s.example", False, True, "8BITMIME", "5.6.3", "a@r.example"),
    ],
)
async def test_what_is_not_ascii_goes_where_it_is_taken_and_bounces_with_its_code_elsewhere(
    offered: str, recipient: str, sender: str, header: bool, is_8bit: bool, needs: str, status: str, sent: str
) -> None:
    """RFC 6531 3.5, RFC 6152, codes of RFC 5248. Nothing is converted: that would break the signature."""
    async with Sink(extensions=("PIPELINING", *offered.split())) as sink:
        world = World(sink)
        one = message(recipient, content=CONTENT, sender=sender, max_age=MAX_AGE)
        one.key, one.is_utf8, one.is_8bit = 7, header, is_8bit
        change = await world.attempt(one)
        assert change.settled == [(7, 0)]
        missing = set(needs.split()) - set(offered.split())
        if not missing:
            assert [got.recipients for got in sink.received] == [[sent]]
            assert ("SMTPUTF8" in sink.received[0].mail_line) == ("SMTPUTF8" in needs)
            return
        assert sink.received == []
        if missing == {"8BITMIME"}:
            status = "5.6.3"
        assert not any(line.startswith("RCPT") for line in sink.commands)
        ((_, submission),) = world.intakes.asked
        is_utf8 = "5.6.7" in status
        assert submission.content.isascii() is not is_utf8
        fields = submission.content.decode()
        assert f"Status: {status}\r\n" in fields
        kind = "utf-8" if not recipient.rpartition("@")[0].isascii() else "rfc822"
        assert f"Final-Recipient: {kind}; {sent}\r\n" in fields


def read(content: bytes):
    """(report's header, fields of the message, fields by recipient, type of the last part, whole report)."""
    parsed = message_from_bytes(content, policy=SMTP)
    assert not parsed.defects
    assert (parsed.get_content_type(), parsed.get_param("report-type")) == (
        "multipart/report",
        "delivery-status",
    )
    _, status, last = parsed.get_payload()
    of_message, *recipients = status.get_payload()
    by_address = {str(one["Final-Recipient"]).partition("; ")[2]: one for one in recipients}
    return parsed, of_message, by_address, last.get_content_type()


@pytest.mark.parametrize("has_dsn", [False, True], ids=["without-dsn", "with-dsn"])
@pytest.mark.parametrize("event", EVENTS)
async def test_the_matrix(event: str, has_dsn: bool) -> None:
    reply, age, asked, action, status = EVENTS[event]
    extensions = ("PIPELINING", "8BITMIME") + (("DSN",) if has_dsn else ())
    async with Sink({"RCPT": reply}, extensions=extensions) as sink:
        for notify, ret in product(NOTIFY, ("", "FULL", "HDRS")):
            case = f"NOTIFY={notify} RET={ret}"
            world = World(sink)
            one = mail(notify, ret)
            world.clock.advance(age)
            sink.commands.clear()
            change = await world.attempt(one)

            _, mail_line, rcpt_line = sink.commands[:3]
            ret_sent = f" RET={ret}" if ret else ""
            sent = f"{ret_sent} ENVID=QQ+20314+2B159" if has_dsn else ""
            assert mail_line == f"MAIL FROM:<app@sender.example>{sent}", case
            sent = f" NOTIFY={notify}" if has_dsn and notify else ""
            sent += " ORCPT=rfc822;first+2Bone@elsewhere.example" if has_dsn else ""
            assert rcpt_line == f"RCPT TO:<user@receiver.example>{sent}", case

            is_default = not notify and event != "success"
            is_due = bool(action) and (asked in notify or is_default) and not (event == "success" and has_dsn)
            assert len(change.stored) == len(world.intakes.asked) == is_due, case
            assert bool(change.deferred) == (event in ("delay", "early")), case
            assert change.told == ([(7, 0)] if event == "delay" else []), case  # an event tells of it anyway
            kinds = [one.kind for one in change.events if one.kind is EventKind.DELIVERY_DELAY]
            assert len(kinds) == (event == "delay"), case
            if is_due:
                ((_, submission),) = world.intakes.asked
                assert submission.envelope.sender == ""
                assert [one.address for one in submission.envelope.recipients] == ["app@sender.example"]
                parsed, of_message, by_address, last = read(submission.content)
                assert (parsed["To"], parsed["Auto-Submitted"]) == ("app@sender.example", "auto-replied")
                assert of_message["Original-Envelope-Id"] == "QQ 314+159", case
                (fields,) = by_address.values()
                assert fields["Final-Recipient"] == "rfc822; user@receiver.example", case
                assert fields["Original-Recipient"] == "rfc822;first+one@elsewhere.example", case
                assert (fields["Action"], fields["Status"]) == (action, status), case
                assert (fields["Will-Retry-Until"] is not None) == (action == "delayed"), case
                is_whole = ret == "FULL" and action == "failed"
                assert last == ("message/rfc822" if is_whole else "text/rfc822-headers"), case
                assert (BODY in submission.content) == is_whole, case
                assert b"Subject: the order" in submission.content


@pytest.mark.parametrize("event", EVENTS)
async def test_nothing_is_ever_sent_to_the_null_sender(event: str) -> None:
    reply, age, *_ = EVENTS[event]
    async with Sink({"RCPT": reply}, extensions=("PIPELINING", "8BITMIME")) as sink:
        for notify in NOTIFY:
            world = World(sink)
            world.clock.advance(age)
            change = await world.attempt(mail(notify, sender=""))
            assert (change.stored, change.told, world.intakes.asked) == ([], [], [])


async def test_recipients_of_one_attempt_share_each_notice_and_hear_of_a_delay_once() -> None:
    replies = {"RCPT a@r.example": "450 4.2.1 Busy", "RCPT b@r.example": "451 4.7.1 Greylisted"}
    replies |= {"RCPT c@r.example": "550 5.1.1 Unknown", "RCPT d@r.example": "550 5.2.1 Closed"}
    async with Sink(replies, extensions=("8BITMIME",)) as sink:
        world = World(sink)
        addresses = [f"{letter}@r.example" for letter in "abcdefg"]
        one = message(*addresses, content=CONTENT, max_age=MAX_AGE)
        one.key = 7
        one.recipients[4].notify = one.recipients[5].notify = "SUCCESS"
        world.clock.advance(5 * HOUR)
        change = await world.attempt(one)
        reports = [read(submission.content) for _, submission in world.intakes.asked]
        told = [{name: str(of["Action"]) for name, of in by.items()} for _, _, by, _ in reports]
        assert told == [
            {"c@r.example": "failed", "d@r.example": "failed"},
            {"e@r.example": "relayed", "f@r.example": "relayed"},
            {"a@r.example": "delayed", "b@r.example": "delayed"},
        ]
        assert len({str(parsed["Message-ID"]) for parsed, *_ in reports}) == 3
        assert len(change.stored) == 3
        assert [(d.number, d.due_at) for d in change.deferred] == [(0, NOW + 6 * HOUR), (1, NOW + 6 * HOUR)]

        one.recipients = one.recipients[:2]
        world.intakes.asked.clear()
        world.clock.advance(HOUR)
        again = await world.attempt(one)
        assert (again.stored, again.told) == ([], [])
        assert [d.is_told for d in again.deferred] == [True, True]


@pytest.mark.parametrize(
    ("is_notify", "notify", "action", "status"),
    [
        (False, "", "failed", "5.4.7"),
        (False, "FAILURE", "failed", "5.4.7"),
        (False, "NEVER", "", ""),
        (True, "", "delayed", "4.4.7"),
        (True, "DELAY", "delayed", "4.4.7"),
        (True, "SUCCESS,FAILURE", "", ""),
        (True, "NEVER", "", ""),
    ],
)
async def test_past_the_senders_own_deadline(is_notify: bool, notify: str, action: str, status: str) -> None:
    async with Sink({"RCPT": "450 4.2.0 Later"}) as sink:
        world = World(sink)
        one = mail(notify)
        one.deadline, one.is_by_notify = NOW + 600, is_notify
        world.clock.advance(599)
        before = await world.attempt(one)
        assert (before.stored, [d.due_at for d in before.deferred]) == ([], [NOW + 600])  # tried once more
        world.clock.advance(1)
        change = await world.attempt(one)
        assert bool(change.settled) is not is_notify
        assert bool(change.deferred) is is_notify
        assert bool(change.stored) is bool(action)
        if action:
            ((_, submission),) = world.intakes.asked
            _, of_message, by_address, _ = read(submission.content)
            assert of_message["Deliver-By-Date"]
            (fields,) = by_address.values()
            assert (fields["Action"], fields["Status"]) == (action, status)


async def test_who_waits_without_an_attempt_is_told_of_too() -> None:
    """Parked on disk, say: nobody has asked the receiver, and the recipients stay as they are."""
    world = World(Sink())
    one = mail("DELAY")
    one.recipients.append(Recipient(1, "other@receiver.example", "receiver.example", notify="NEVER"))
    down = Deferred(Scope.SITE, Reason.CONNECT)
    waiting = [(recipient, down) for recipient in one.recipients]
    assert not world.settler.wants_content_of_late(one, one.recipients)
    assert world.settler.late(one, waiting, CONTENT).told == []
    world.clock.advance(5 * HOUR)
    assert world.settler.wants_content_of_late(one, one.recipients)
    change = world.settler.late(one, waiting, CONTENT)
    assert (change.told, change.deferred, change.settled) == ([(7, 0), (7, 1)], [], [])
    ((_, submission),) = world.intakes.asked
    _, _, by_address, _ = read(submission.content)
    assert [(name, str(of["Status"])) for name, of in by_address.items()] == [
        ("user@receiver.example", "4.4.1")
    ]
    assert len(change.stored) == 1
    assert world.settler.late(one, waiting, CONTENT).stored == []


async def test_a_notice_of_delay_that_cannot_be_made_delays_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async with Sink({"RCPT": "450 4.2.0 Later"}) as sink:
        world = World(sink)
        world.clock.advance(5 * HOUR)

        def refuse(shard: int):
            raise RuntimeError("a bug")

        world.settler.telling._bounces = BounceMaker("relay.example", refuse, world.clock)
        one = mail("DELAY")
        with pytest.raises(AssertionError):  # the content was wanted, and no notice came of it
            await world.attempt(one)
        assert not one.recipients[0].is_told
        assert "notice of delay could not be made" in caplog.text
