"""What `relay send` hands in is checked like what a client says."""

import asyncio
from base64 import b64encode
from typing import Any

import pytest

from relay.base.admission import Accepted
from relay.base.errors import Refused, SpoolFull
from relay.base.message import Submission
from relay.base.reply import Reply
from relay.daemon.settings.config import LimitsSection
from relay.daemon.worker.submission import submit
from relay.directory.records import Account

LIMITS = LimitsSection(message_size="100 B", recipients=2)  # type: ignore[arg-type]


class Known:
    def account_named(self, name: str) -> Account | None:
        return Account(7, "shop") if name == "shop" else None


class Intake:
    def __init__(self, fails_with: Exception | None = None) -> None:
        self.taken: list[Submission] = []
        self._fails_with = fails_with

    def accept(self, submission: Submission) -> asyncio.Future[Accepted]:
        done: asyncio.Future[Accepted] = asyncio.get_running_loop().create_future()
        if self._fails_with:
            done.set_exception(self._fails_with)
        else:
            self.taken.append(submission)
            done.set_result(Accepted("the-id"))
        return done


def handed_in(**changes: Any) -> dict[str, Any]:
    content = changes.pop("content", b"From: a@example.com\r\n\r\nhi\r\n")
    fields = {"account": "shop", "sender": "a@example.com", "recipients": ["b@Example.org"]}
    return {**fields, "content": b64encode(content).decode(), **changes}


async def test_it_takes_the_way_of_every_message() -> None:
    intake = Intake()
    assert await submit(handed_in(), Known(), intake, LIMITS) == {"code": 250, "id": "the-id", "text": ""}
    (taken,) = intake.taken
    assert (taken.account_id, taken.envelope.sender, taken.client.protocol) == (7, "a@example.com", "local")
    assert [(r.number, r.address, r.domain) for r in taken.envelope.recipients] == [
        (0, "b@Example.org", "example.org")
    ]
    assert not taken.envelope.is_utf8


async def test_the_null_sender_and_utf8_may_be() -> None:
    intake = Intake()
    await submit(handed_in(sender=""), Known(), intake, LIMITS)
    await submit(handed_in(recipients=["jürgen@example.org"]), Known(), intake, LIMITS)
    assert [one.envelope.is_utf8 for one in intake.taken] == [False, True]


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({"account": "blog"}, 530, "no such account: blog"),
        ({"account": ""}, 530, "no such account"),
        ({"sender": "a@example.com>\r\nRCPT TO:<x@example.net"}, 501, "control character"),
        ({"sender": "me"}, 501, "no @"),
        ({"recipients": ["you"]}, 553, "no @"),
        ({"recipients": ["b@example.org", "b@example.org\r\nDATA"]}, 553, "control character"),
        ({"recipients": [f"{n}@example.org" for n in range(3)]}, 552, "more than 2 recipients"),
        ({"content": b"x" * 101}, 552, "larger than 100 bytes"),
    ],
)
async def test_refused(changes: dict[str, Any], code: int, said: str) -> None:
    intake = Intake()
    answer = await submit(handed_in(**changes), Known(), intake, LIMITS)
    assert answer["code"] == code
    assert said in answer["text"]
    assert intake.taken == []


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (Refused(Reply(554, "Message rejected", "5.7.1"), "a detail for the log"), 554, "Message rejected"),
        (SpoolFull("less than 256 MB free"), 451, "less than 256 MB free"),
    ],
)
async def test_what_acceptance_says_is_passed_on(error: Exception, code: int, said: str) -> None:
    answer = await submit(handed_in(), Known(), Intake(error), LIMITS)
    assert (answer["code"], answer["text"]) == (code, said)
    assert answer.get("enhanced", "") == ("5.7.1" if code == 554 else "")


async def test_reports_are_asked_for_as_in_smtp() -> None:
    intake = Intake()
    asked = handed_in(mail="RET=full ENVID=a+20b BY=60;N", rcpt="NOTIFY=delay,failure")
    assert (await submit(asked, Known(), intake, LIMITS))["code"] == 250
    envelope = intake.taken[0].envelope
    assert (envelope.ret, envelope.envid, envelope.deliver_within_s, envelope.is_by_notify) == (
        "FULL",
        "a b",
        60.0,
        True,
    )
    assert [one.notify for one in envelope.recipients] == ["DELAY,FAILURE"]


@pytest.mark.parametrize("fields", [{"mail": "RET=all"}, {"rcpt": "NOTIFY=often"}, {"mail": "BY=0;R"}])
async def test_a_wish_that_is_none_is_refused(fields: dict[str, str]) -> None:
    answer = await submit(handed_in(**fields), Known(), Intake(), LIMITS)
    assert answer["code"] == 501
    assert "-N" in answer["text"]
