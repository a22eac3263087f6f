import asyncio
import json
import threading
from contextlib import AsyncExitStack

import pytest

from relay.base import return_path
from relay.base.admission import Accepted, Admission
from relay.base.errors import Refused, SpoolError, SpoolFull
from relay.base.events import EventKind
from relay.base.message import Client, Envelope, Recipient, RecipientState, Submission, TlsWish
from relay.base.reply import Reply
from relay.base.tasks import Tasks
from relay.ingress.counters import Counters
from relay.ingress.intake import Intake, _inspect
from tests.fakes.clock import ManualClock

KEY = b"k" * 32
CONTENT = b"From: a@x.test\r\nSubject: x\r\n\r\nbody\r\n"


class Policy:
    """Allows everything with one key, or refuses."""

    def __init__(self):
        self.refusal = None
        self.admission = {}
        self.waiting = None
        self.given_back = []

    def check(self, submission, header):
        assert header.first(b"from") == b"a@x.test" or submission.content.startswith(b"X")
        if self.refusal:
            raise self.refusal
        return Admission(["key"], **self.admission)

    def complete(self, submission, header, admission):
        return None if self.waiting is None else self.waiting(admission)

    def give_back(self, submission, admission):
        self.given_back.append(admission)


class Signer:
    """Puts a line on top that shows what it was given."""

    def __init__(self):
        self.thread = None

    def sign(self, submission, header, message_id, now, keys):
        self.thread = threading.current_thread()
        return f"Signed: {','.join(keys)}\r\n".encode() + submission.content


class Spool:
    """Keeps changes; the test says when they are on disk."""

    def __init__(self):
        self.changes = []
        self.futures = []
        self.came = asyncio.Event()

    def commit(self, change):
        future = asyncio.get_running_loop().create_future()
        self.changes.append(change)
        self.futures.append(future)
        self.came.set()
        return future


class Log:
    is_on = True

    def __init__(self):
        self.lines = []

    def __call__(self, event, message_id, /, **fields):
        self.lines.append((event, message_id, fields))


class Bench:
    def __init__(self):
        self.policy, self.signer, self.spool, self.log = Policy(), Signer(), Spool(), Log()
        self.counters = Counters()
        self.clock = ManualClock()
        self.stored = []
        self.tasks = Tasks("test")
        self.intake = Intake(
            policy=self.policy,
            signer=self.signer,
            spool=self.spool,
            on_stored=self.stored.append,
            clock=self.clock,
            shard=3,
            max_age_s=3600,
            return_path_key=KEY,
            counters=self.counters,
            tasks=self.tasks,
            message_log=self.log,
            thread_bytes=1000,
        )


@pytest.fixture
async def bench():
    async with AsyncExitStack() as stack:
        bench = Bench()
        await bench.tasks.start(stack)
        yield bench


def submission(content: bytes = CONTENT, is_utf8: bool = False, to: str = "b@y.test") -> Submission:
    envelope = Envelope("a@x.test", [Recipient(0, to, "y.test")], is_utf8=is_utf8, ret="HDRS", envid="e")
    return Submission(7, envelope, content, Client("192.0.2.1", 1, "c", "ESMTPSA", "", "KEY"))


async def test_signed_committed_scheduled_then_promised(bench):
    promise = bench.intake.accept(submission())
    [change] = bench.spool.changes
    [message] = change.stored
    [event] = change.events
    assert not promise.done()
    assert bench.stored == []
    bench.spool.futures[0].set_result(None)
    assert (await promise).id == message.id
    assert bench.stored == [message]
    assert message.content == b"Signed: key\r\n" + CONTENT
    assert message.size_bytes == len(message.content)
    assert (message.shard, message.account_id, message.key, message.ret, message.envid) == (
        3,
        7,
        0,
        "HDRS",
        "e",
    )
    assert (message.arrived_at, message.expires_at) == (bench.clock.now(), bench.clock.now() + 3600)
    assert message.id.endswith("-000003")
    assert (event.kind, event.message_id, event.account_id) == (EventKind.SEND, message.id, 7)
    assert json.loads(event.detail) == {
        "source": "a@x.test",
        "destination": ["b@y.test"],
        "sourceIp": "192.0.2.1",
        "protocol": "ESMTPSA",
        "identity": "",
        "credential": "KEY",
        "sizeBytes": len(CONTENT),
    }
    [(kind, message_id, fields)] = bench.log.lines
    assert (kind, message_id, fields["account"]) == ("accepted", message.id, 7)
    assert (bench.counters.accepted, bench.counters.accepted_bytes) == (1, message.size_bytes)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"From: a@x.test\r\n\r\nbare\nline\r\n", "554 5.6.0 Message rejected: bare <LF> in the content"),
        (b"From: a@x.test\r\n\r\nbare\rline\r\n", "554 5.6.0 Message rejected: bare <CR> in the content"),
        (b"From: a@x.test\r\n\r\nnul\0\r\n", "554 5.6.0 Message rejected: NUL byte in the content"),
        (b"From: a@x.test\r\nno field\r\n\r\n", "554 5.6.0 Message rejected: header has a line"),
        (b"From: a@x.test\r\n\r\n" + b"x" * 2000 + b"\n", "554 5.6.0 Message rejected: bare <LF>"),
    ],
)
async def test_forbidden_bytes(bench, content, says):
    with pytest.raises(Refused) as caught:
        await bench.intake.accept(submission(content))
    assert str(caught.value.reply).startswith(says)
    assert bench.spool.changes == []
    assert bench.counters.refused == {554: 1}


@pytest.mark.parametrize("size", [10, 5000])
async def test_policy_refuses(bench, size):
    bench.policy.refusal = Refused(Reply(454, "Throttling failure"), "quota of account 7")
    with pytest.raises(Refused):
        await bench.intake.accept(submission(CONTENT + b"x" * size + b"\r\n"))
    assert bench.spool.changes == []
    [(kind, _, fields)] = bench.log.lines
    assert (kind, fields["code"], fields["reason"]) == ("refused", 454, "quota of account 7")


@pytest.mark.parametrize(("error", "caught"), [(SpoolFull("x"), SpoolFull), (SpoolError("x"), SpoolError)])
async def test_a_commit_that_fails_promises_nothing(bench, error, caught):
    promise = bench.intake.accept(submission())
    bench.spool.futures[0].set_exception(error)
    with pytest.raises(caught):
        await promise
    assert bench.stored == []


async def test_a_cancelled_commit_is_a_spool_error(bench):
    promise = bench.intake.accept(submission())
    bench.spool.futures[0].cancel()
    with pytest.raises(SpoolError):
        await promise


async def test_the_message_goes_on_when_nobody_waits(bench):
    bench.intake.accept(submission()).cancel()
    bench.spool.futures[0].set_result(None)
    await asyncio.sleep(0)
    assert len(bench.stored) == 1


async def test_what_is_on_disk_is_promised_though_it_cannot_be_scheduled(bench, caplog):
    bench.intake._on_stored = None
    promise = bench.intake.accept(submission())
    bench.spool.futures[0].set_result(None)
    assert (await promise).id == bench.spool.changes[0].stored[0].id
    assert "could not be scheduled" in caplog.text


async def test_large_content_is_signed_in_a_thread(bench):
    promise = bench.intake.accept(submission(CONTENT + b"x" * 2000 + b"\r\n"))
    await bench.spool.came.wait()
    bench.spool.futures[0].set_result(None)
    assert (await promise).id == bench.stored[0].id
    assert bench.signer.thread is not threading.main_thread()
    bench.intake.accept(submission())
    assert bench.signer.thread is threading.main_thread()


@pytest.mark.parametrize(
    ("content", "is_utf8", "to", "flags"),
    [
        (CONTENT, False, "b@y.test", (False, False)),
        (CONTENT, True, "b@y.test", (False, False)),
        (CONTENT, True, "ü@y.test", (False, False)),  # which the address itself says
        (CONTENT + "ü\r\n".encode(), True, "b@y.test", (True, False)),
        (b"X: " + "ü\r\n\r\n".encode(), True, "b@y.test", (True, True)),
        (b"X: " + "ü\r\n\r\n".encode(), False, "b@y.test", (True, False)),
    ],
)
async def test_what_the_message_needs_of_its_receiver(bench, content, is_utf8, to, flags):
    message, _ = bench.intake.prepare(submission(content, is_utf8, to))
    assert (message.is_8bit, message.is_utf8) == flags
    assert bench.spool.changes == []


def test_a_hundred_hops_are_a_loop():
    once = b"From: a@x.test\r\n"
    assert _inspect(once + b"Received: by a; now\r\n" * 100 + b"X: y\r\n\r\nhi\r\n").body_offset
    with pytest.raises(Refused, match="mail loop"):
        _inspect(once + b"Received: by a; now\r\n" * 101 + b"\r\nhi\r\n")


async def test_the_administrator_may_call_fewer_hops_a_loop(bench):
    bench.intake.max_hops = 10
    bench.intake.accept(submission(b"Received: by a; now\r\n" * 10 + CONTENT))
    with pytest.raises(Refused) as caught:
        await bench.intake.accept(submission(b"Received: by a; now\r\n" * 11 + CONTENT))
    assert str(caught.value.reply).startswith("554 5.4.6")
    assert len(bench.spool.changes) == 1


@pytest.mark.parametrize(
    ("within_s", "is_notify", "deadline", "gives_up"),
    [
        (0.0, False, 0.0, 3600.0),
        (60.0, False, 60.0, 60.0),
        (60.0, True, 60.0, 3600.0),
        (-1.0, True, -1.0, 3600.0),  # it was too late when it came
        (7200.0, False, 7200.0, 3600.0),
    ],
)
async def test_the_deadline_counts_from_now(bench, within_s, is_notify, deadline, gives_up):
    mail = submission()
    mail.envelope.deliver_within_s, mail.envelope.is_by_notify = within_s, is_notify
    message, _ = bench.intake.prepare(mail)
    now = message.arrived_at
    assert message.deadline == (now + deadline if deadline else 0.0)
    assert (message.gives_up_at, message.is_by_notify) == (now + gives_up, is_notify)


async def test_what_is_waited_for_decides_before_anything_is_stored(bench):
    asked = asyncio.Event()

    async def ask(admission):
        await asked.wait()
        admission.note, admission.due_at = "waits for the quota until noon", 500.0

    bench.policy.waiting = ask
    promise = bench.intake.accept(submission())
    await asyncio.sleep(0)
    assert bench.spool.changes == []
    asked.set()
    await bench.spool.came.wait()
    [message] = bench.spool.changes[0].stored
    assert [(r.state, r.due_at) for r in message.recipients] == [(RecipientState.DEFERRED, 500.0)]
    bench.spool.futures[0].set_result(None)
    assert await promise == Accepted(message.id, "waits for the quota until noon")


async def test_a_refusal_after_waiting_stores_nothing_and_counts_nothing(bench):
    async def ask(admission):
        raise Refused(Reply(454, "Throttling failure: Maximum sending rate exceeded"))

    bench.policy.waiting = ask
    with pytest.raises(Refused):
        await bench.intake.accept(submission())
    assert bench.spool.changes == []
    assert len(bench.policy.given_back) == 1


async def test_what_could_not_be_stored_is_given_back(bench):
    promise = bench.intake.accept(submission())
    bench.spool.futures[0].set_exception(SpoolError("no"))
    with pytest.raises(SpoolError):
        await promise
    assert len(bench.policy.given_back) == 1


@pytest.mark.parametrize(
    ("asked", "within_s", "deadline_s"),
    [({}, 0.0, 0.0), ({"deadline_s": 120.0}, 0.0, 120.0), ({"deadline_s": 120.0}, 60.0, 60.0)],
)
async def test_the_earliest_deadline_counts(bench, asked, within_s, deadline_s):
    bench.policy.admission = asked
    sent = submission()
    sent.envelope.deliver_within_s = within_s
    sent.envelope.is_by_notify = True
    bench.intake.accept(sent)
    [message] = bench.spool.changes[0].stored
    assert message.deadline == (message.arrived_at + deadline_s if deadline_s else 0.0)
    assert message.is_by_notify is not bool(asked)


async def test_held_mail_is_stored_as_held(bench):
    bench.policy.admission = {"is_held": True}
    bench.intake.accept(submission())
    [message] = bench.spool.changes[0].stored
    assert message.recipients[0].state is RecipientState.HELD


async def test_what_is_dropped_is_promised_and_told_but_not_stored(bench):
    bench.policy.admission = {"dropped": "Bad content"}
    promise = bench.intake.accept(submission())
    [change] = bench.spool.changes
    assert change.stored == []
    assert [(event.kind, event.detail) for event in change.events[1:]] == [
        (EventKind.REJECT, '{"reason":"Bad content"}')
    ]
    bench.spool.futures[0].set_result(None)
    assert (await promise).id == change.events[0].message_id
    assert bench.stored == []


async def test_what_control_fields_asked_is_stored_and_told(bench):
    control = '{"tags":{"campaign":["book"]}}'
    bench.policy.admission = {"control": control}
    bench.intake.accept(submission())
    [change] = bench.spool.changes
    assert change.stored[0].control == control
    assert json.loads(change.events[0].detail)["tags"] == {"campaign": ["book"]}
    bench.policy.admission = {"control": control, "dropped": "Bad content"}
    bench.intake.accept(submission())
    assert [json.loads(event.detail)["tags"] for event in bench.spool.changes[1].events] == [
        {"campaign": ["book"]}
    ] * 2


async def test_a_return_path_of_ours_names_the_message(bench):
    bench.policy.admission = {"return_path_domain": "bounces.relay.example", "control": "{}"}
    bench.intake.accept(submission())
    [message] = bench.spool.changes[0].stored
    assert message.wire_sender == f"{return_path.make(message.id, KEY)}@bounces.relay.example"
    assert (message.sender, message.control) == ("a@x.test", "{}")


async def test_a_report_keeps_the_null_reverse_path(bench):
    bench.policy.admission = {"return_path_domain": "bounces.relay.example"}
    mail = submission()
    mail.envelope.sender = ""
    bench.intake.accept(mail)
    [message] = bench.spool.changes[0].stored
    assert (message.return_path, message.wire_sender) == ("", "")


@pytest.mark.parametrize(
    ("field", "asked", "kept"),
    [
        (b"TLS-Required: No\r\n", TlsWish.NONE, TlsWish.OPTIONAL),
        (b"tls-required:no\r\n", TlsWish.NONE, TlsWish.OPTIONAL),
        (b"TLS-Required: Yes\r\n", TlsWish.NONE, TlsWish.NONE),
        (b"", TlsWish.NONE, TlsWish.NONE),
        (b"TLS-Required: No\r\n", TlsWish.REQUIRED, TlsWish.REQUIRED),  # RFC 8689 4.1
    ],
)
@pytest.mark.parametrize("body", [b"body\r\n", b"body\r\n" * 1000])
async def test_what_the_message_says_about_tls_is_kept_with_it(bench, field, asked, kept, body):
    handed_in = submission(field + CONTENT + body)
    handed_in.envelope.tls = asked
    bench.intake.accept(handed_in)
    await bench.spool.came.wait()
    [message] = bench.spool.changes[0].stored
    assert message.tls is kept


async def test_the_header_as_it_came_is_kept_where_someone_is_told(bench):
    control = '{"tags":{"a":["b"]}}'
    bench.policy.admission = {"has_headers": True, "control": control, "identity": "x.test"}
    bench.intake.accept(
        submission(b"From: a@x.test\r\nBcc: s@x.test\r\nsubject: =?utf-8?q?x=C3=A9?=\r\n\r\nbody\r\n")
    )
    [change] = bench.spool.changes
    [event] = change.events
    assert event.kind is EventKind.SEND
    told = json.loads(event.detail)
    assert told["headers"] == [
        {"name": "From", "value": "a@x.test"},
        {"name": "Bcc", "value": "s@x.test"},
        {"name": "subject", "value": "xé"},
    ]
    assert told["headersTruncated"] is False
    assert told["commonHeaders"] == {"from": ["a@x.test"], "bcc": ["s@x.test"], "subject": "xé"}
    assert told["tags"] == {"a": ["b"]}
    assert told["identity"] == "x.test"


async def test_the_header_of_a_large_message_is_kept_too(bench):
    bench.policy.admission = {"has_headers": True}
    content = b"X" * 2 + b": 1\r\nFrom: a@x.test\r\n\r\n" + b"x" * 2000 + b"\r\n"
    bench.intake.accept(submission(content))
    await bench.spool.came.wait()
    [event] = bench.spool.changes[0].events
    assert json.loads(event.detail)["commonHeaders"] == {"from": ["a@x.test"]}
