"""Notices, through the works of a real worker: what is on disk, and who is told."""

import json
from dataclasses import dataclass, replace

import pytest

from relay.base.errors import SpoolFull
from relay.base.events import EventKind
from relay.base.message import Message, TlsWish
from relay.directory.records import Account
from relay.spool.event_log import EventLog
from tests.daemon.conftest import Started
from tests.fakes.prepared import ACCOUNT, DOMAIN


def notices_of(started: Started) -> list[tuple[str, int, dict[str, str]]]:
    found, _ = EventLog(started.works.config.spool.path).read({}, kinds=[EventKind.NOTICE])
    return [(event.message_id, event.account_id, json.loads(event.detail)) for _, _, event in found]


@dataclass(frozen=True)
class Live:
    """Accounts that are all this one."""

    known: Account

    @property
    def current(self) -> "Live":
        return self

    def account(self, account_id: int) -> Account | None:
        return self.known


@pytest.fixture
def stored(started: Started, monkeypatch: pytest.MonkeyPatch) -> list[Message]:
    """The messages that the scheduler gets."""
    seen: list[Message] = []
    monkeypatch.setattr(started.works.notices, "_on_stored", seen.append)
    return seen


async def test_the_contact_is_told_and_the_event_with_it(started: Started, stored: list[Message]) -> None:
    works = started.works
    account = works.live.current.account_named(ACCOUNT)
    assert account is not None
    message_id = await works.notices.send(
        account.id, "It\r\nhappened", "What to do.\n", kind="test", about="example.org"
    )
    (mail,) = stored
    assert (mail.id, mail.sender, mail.account_id) == (message_id, "", 0)
    assert [one.address for one in mail.recipients] == [f"postmaster@{DOMAIN}"]
    assert mail.content is not None
    for line in (
        b"Subject: It happened",
        b"Auto-Submitted: auto-generated",
        b"What to do.",
        b"Account: tests",
    ):
        assert line + b"\r\n" in mail.content
    assert b"From: Relay <postmaster@" in mail.content
    told = {
        "notice": "test",
        "about": "example.org",
        "subject": "It\r\nhappened",
        "contact": f"postmaster@{DOMAIN}",
    }
    assert notices_of(started) == [(message_id, account.id, told)]


@pytest.mark.parametrize(("contact", "why"), [("", "no contact"), ("a b@x", "bad local part")])
async def test_whoever_cannot_be_told_has_the_event(
    started: Started,
    stored: list[Message],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    contact: str,
    why: str,
) -> None:
    works = started.works
    silent = works.directory.accounts.create("silent")
    monkeypatch.setattr(works.notices, "_accounts", Live(replace(silent, contact=contact)))
    assert await works.notices.send(silent.id, "It happened", "Text", kind="test") == ""
    assert stored == []
    assert [(one[:2], one[2]["notice"]) for one in notices_of(started)] == [(("", silent.id), "test")]
    (record,) = [one for one in caplog.records if one.message == "notice without mail"]
    assert why in record.__dict__["why"]


async def test_an_address_is_written_to(started: Started, stored: list[Message]) -> None:
    await started.works.notices.mail("new@owner.example", "Verify", "https://relay.example/verify?t=1")
    assert [one.address for one in stored[0].recipients] == ["new@owner.example"]
    assert notices_of(started) == []
    with pytest.raises(ValueError, match="no @"):
        await started.works.notices.mail("nonsense", "Verify", "text")


async def test_a_full_disk_is_the_callers_to_know(
    started: Started, stored: list[Message], monkeypatch: pytest.MonkeyPatch
) -> None:
    (shard,) = started.works.shards.values()
    monkeypatch.setattr(type(shard), "is_full", property(lambda _: True))
    with pytest.raises(SpoolFull):
        await started.works.notices.mail("new@owner.example", "Verify", "text")
    assert stored == []


async def test_content_that_is_complete_is_sent_as_it_is(started: Started, stored: list[Message]) -> None:
    content = b"From: postmaster@relay.example\r\nSubject: x\r\nTLS-Required: No\r\n\r\nbody\r\n"
    message_id = await started.works.notices.hand_in("tls@reports.example", content, TlsWish.OPTIONAL)
    (mail,) = stored
    assert (mail.id, mail.sender, mail.account_id, mail.tls) == (message_id, "", 0, TlsWish.OPTIONAL)
    assert mail.content is not None
    assert mail.content.endswith(b"\r\n\r\nbody\r\n")
    assert b"\r\nTLS-Required: No\r\n" in mail.content
    assert notices_of(started) == []
    with pytest.raises(ValueError):  # noqa: PT011
        await started.works.notices.hand_in("nobody", content)
