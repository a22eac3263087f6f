"""The life of identities against a real name server, with the clock moved and every mail received."""

import asyncio
import email
import email.policy
import json
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from email.message import EmailMessage
from pathlib import Path

import pytest

from relay.base.clock import SystemClock
from relay.base.errors import Refused
from relay.base.events import EventKind
from relay.base.log import SilentLog
from relay.base.message import Client, Envelope, Recipient, Submission
from relay.daemon.duties.watch import Watch
from relay.daemon.settings.config import load
from relay.daemon.worker.publication import records_of
from relay.daemon.worker.wiring import Works
from relay.directory.records import IdentityState
from relay.ingress.connections import LocalTally
from relay.spool.event_log import EventLog
from tests.fakes.prepared import ACCOUNT, SHARED_FILES, Port, Prepared, open_directory, wait_until
from tests.fakes.running import RunningRelay
from tests.fakes.sink import Received
from tests.scenarios.nameserver import NameServer
from tests.scenarios.receiver import Receiver

HOUR, DAY = 3600.0, 86400.0
DOMAIN = "owner.example"
CONTACT = "postmaster@sender.example"

StartRelay = Callable[..., RunningRelay]


@pytest.fixture(scope="module")
def name_server() -> Iterator[NameServer]:
    with NameServer(DOMAIN) as started:
        yield started


class MovedClock(SystemClock):
    """The machine's clock, some days on."""

    moved = 0.0

    def now(self) -> float:
        return super().now() + self.moved


class Life:
    """A worker's works in this process, with a clock that can be moved and rounds that are made by hand."""

    def __init__(self, works: Works, clock: MovedClock, receiver: Receiver) -> None:
        self.works = works
        self._clock = clock
        self._receiver = receiver
        self._read = 0

    def state(self, name: str = DOMAIN) -> IdentityState:
        return self.works.directory.life.standing(name).state

    async def after(self, seconds: float, mails: int = 0) -> list[EmailMessage]:
        """Move the clock, make a round; the mails that came of it."""
        self._clock.moved += seconds
        await self.works.watch.round()
        await asyncio.to_thread(
            wait_until, lambda: len(self._arrived()) >= self._read + mails, f"{mails} mails arrive"
        )
        arrived = self._arrived()[self._read :]
        self._read += len(arrived)
        return [_parsed(one.content) for one in arrived]

    def _arrived(self) -> list[Received]:
        """All mails but those about DKIM, which has a life of its own."""
        return [one for one in self._receiver.received if "DKIM" not in one.subject]

    async def may_send(self) -> bool:
        """Whether a message from the domain is accepted; it is taken out of the receiver's count."""
        await self.works.live.poll()
        account = self.works.live.current.account_named(ACCOUNT)
        assert account is not None
        envelope = Envelope(f"app@{DOMAIN}", [Recipient(0, "x@receiver.example", "receiver.example")])
        content = f"From: app@{DOMAIN}\r\nSubject: trial\r\n\r\nhi\r\n".encode()
        try:
            await self.works.intakes[1].accept(Submission(account.id, envelope, content, Client()))
        except Refused as refused:
            return f"failed the check: app@{DOMAIN}" not in refused.reply.text
        await asyncio.to_thread(wait_until, lambda: len(self._arrived()) > self._read, "the trial arrives")
        self._read += 1
        return True


def _parsed(content: bytes) -> EmailMessage:
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def words(message: EmailMessage) -> str:
    return " ".join(message.get_content().split())


@pytest.fixture
async def life(
    tmp_path: Path,
    prepared: Prepared,
    name_server: NameServer,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Life]:
    async def rounds_are_made_by_hand(*_: object) -> None: ...

    monkeypatch.setattr(Watch, "start", rounds_are_made_by_hand)
    for name in SHARED_FILES:
        shutil.copy(prepared.folder / name, tmp_path / name)
    text = re.sub(r"\[\[listener\]\].*?(?=^\[(?!\[listener))", "", _first(prepared), flags=re.S | re.M)
    (tmp_path / "relay.toml").write_text(
        text + f'[delivery]\nresolver = "{name_server.address}"\nresolver_timeout = "1s"\n'
        f'[[route]]\ndomain = "*"\nnext_hop = "127.0.0.1:{receiver.port}"\ntls = "none"\n'
    )
    clock = MovedClock()
    works = Works(load(tmp_path / "relay.toml"), 0, clock, SilentLog())
    async with AsyncExitStack() as stack:
        await works.start(stack, [], LocalTally(), [])
        directory = works.directory
        directory.life._clock = directory.identities._clock = directory.dkim._clock = clock
        yield Life(works, clock, receiver)


def _first(prepared: Prepared) -> str:
    return (prepared.folder / "relay.toml").read_text()


async def test_a_domain_is_verified_warned_cancelled_and_revoked(life: Life, name_server: NameServer) -> None:
    directory = life.works.directory
    directory.identities.add(ACCOUNT, DOMAIN)
    token = directory.life.standing(DOMAIN).token
    record = f"_relay.{DOMAIN}"

    assert await life.after(0) == []
    assert life.state() is IdentityState.PENDING
    assert not await life.may_send()

    name_server.add(record, "TXT", "another account's token", token)
    (mail,) = await life.after(5, mails=1)
    assert life.state() is IdentityState.VERIFIED
    assert (mail["To"], mail["Subject"]) == (CONTACT, f"{DOMAIN} is verified")
    assert mail["Auto-Submitted"] == "auto-generated"
    assert await life.may_send()

    name_server.stop()
    assert await life.after(DAY) == []  # no one can say: that is not "gone"
    assert life.state() is IdentityState.VERIFIED
    assert name_server.start()
    name_server.remove(record, "TXT")
    (mail,) = await life.after(HOUR, mails=1)
    assert life.state() is IdentityState.WARNED
    assert mail["Subject"] == f"{DOMAIN}: the verification will be revoked"
    assert f'{record}. TXT "{token}"' in words(mail)
    assert await life.may_send()

    name_server.add(f"relay.{DOMAIN}", "TXT", token)  # without the underscore
    (mail,) = await life.after(71 * HOUR, mails=1)
    assert life.state() is IdentityState.VERIFIED
    assert mail["Subject"] == f"{DOMAIN}: the verification stays"
    assert await life.may_send()

    name_server.remove(f"relay.{DOMAIN}", "TXT")
    (mail,) = await life.after(DAY, mails=1)
    assert mail["Subject"] == f"{DOMAIN}: the verification will be revoked"
    assert await life.after(72 * HOUR - 60) == []
    assert await life.may_send()
    (mail,) = await life.after(60, mails=1)
    assert life.state() is IdentityState.REVOKED
    assert mail["Subject"] == f"{DOMAIN}: the verification is revoked"
    assert f"relay identity verify --again {DOMAIN}" in words(mail)
    assert not await life.may_send()

    events, _ = EventLog(life.works.config.spool.path).read({}, kinds=[EventKind.NOTICE])
    told = [json.loads(event.detail) for _, _, event in events]
    assert [one["notice"] for one in told if "dkim" not in one["notice"]] == [
        "identity-verified",
        "identity-warned",
        "identity-warning-cancelled",
        "identity-warned",
        "identity-revoked",
    ]
    assert {one["about"] for one in told} == {DOMAIN}
    assert {one["contact"] for one in told} == {CONTACT}


async def test_a_domain_whose_record_never_comes_fails(life: Life) -> None:
    life.works.directory.identities.add(ACCOUNT, DOMAIN)
    assert await life.after(0) == []
    assert await life.after(72 * HOUR - 10) == []
    (mail,) = await life.after(10, mails=1)
    assert life.state() is IdentityState.FAILED
    assert mail["Subject"] == f"{DOMAIN} could not be verified"
    assert await life.after(30 * DAY) == []


async def test_a_domain_proves_itself_by_its_dkim_records(life: Life, name_server: NameServer) -> None:
    works = life.works
    works.directory.identities.add(ACCOUNT, DOMAIN)
    published = [
        record
        for record in records_of(works.directory, works.config, DOMAIN, None, is_direct=True)
        if "._domainkey." in record.name
    ]
    for record in published:
        name_server.add(record.name, record.type, record.value)
    await life.after(HOUR)  # the keys are seen
    if life.state() is IdentityState.PENDING:  # and then at once the domain that they prove
        (mail,) = await life.after(0, mails=1)
        assert mail["Subject"] == f"{DOMAIN} is verified"
    assert life.state() is IdentityState.VERIFIED
    assert await life.may_send()
    for record in published:
        name_server.remove(record.name, record.type)
    for _ in range(4):
        await life.after(DAY)
    assert life.state() is IdentityState.WARNED


def test_a_running_relay_verifies_by_link_and_by_record(
    start_relay: StartRelay, receiver: Receiver, name_server: NameServer
) -> None:
    public = Port()
    url = f"http://127.0.0.1:{public.number}"
    relay = start_relay(
        next_hop=receiver.port,
        delivery=f'resolver = "{name_server.address}"',
        more=f'[verification]\nurl = "{url}"\n[http]\nlisten = "127.0.0.1:{public.number}"\n',
    )
    directory = open_directory(relay.settings)
    try:
        directory.identities.add(ACCOUNT, f"new@{DOMAIN}")
        asked = receiver.wait_for(f"Confirm new@{DOMAIN} as a sender address")
        assert asked.recipients == [f"new@{DOMAIN}"]
        assert asked.sender == ""
        (link,) = re.findall(rf"^{url}/verify/\S+", _parsed(asked.content).get_content(), flags=re.M)
        assert "Yes, allow it" in _open(link)
        assert directory.life.standing(f"new@{DOMAIN}").state is IdentityState.PENDING
        assert "Confirmed" in _open(link, b"")
        assert directory.life.standing(f"new@{DOMAIN}").state is IdentityState.VERIFIED
        assert receiver.wait_for(f"new@{DOMAIN} is verified").recipients == [CONTACT]
        for path, content, status in (
            (link, b"", 410),
            (link[:-3] + "xyz", None, 404),
            (f"{url}/metrics", None, 404),
        ):
            with pytest.raises(urllib.error.HTTPError) as refused:
                _open(path, content)
            assert refused.value.code == status
            refused.value.close()

        directory.identities.add(ACCOUNT, DOMAIN)
        token = directory.life.standing(DOMAIN).token
        name_server.add(f"_relay.{DOMAIN}.{DOMAIN}", "TXT", token)
        assert "appended the domain once more" in _advice(relay)
        name_server.remove(f"_relay.{DOMAIN}.{DOMAIN}", "TXT")
        name_server.add(DOMAIN, "TXT", f"_relay={token}")
        assert f"directly under {DOMAIN}" in _advice(relay)
        name_server.remove(DOMAIN, "TXT")
        name_server.add(f"_relay.{DOMAIN}", "TXT", f'"{token}"')
        assert "quotes are part of the value" in _advice(relay)
        name_server.remove(f"_relay.{DOMAIN}", "TXT")
        name_server.add(f"_relay.{DOMAIN}", "TXT", token)
        assert receiver.wait_for(f"{DOMAIN} is verified").recipients == [CONTACT]
        wait_until(
            lambda: directory.life.standing(DOMAIN).state is IdentityState.VERIFIED,
            "the state follows the mail",
        )
    finally:
        name_server.remove(f"_relay.{DOMAIN}", "TXT")
        directory.close()
        public.free()


def _advice(relay: RunningRelay) -> str:
    """What `relay identity check` says of the proof."""
    done = relay.command("identity", "check", DOMAIN, "--json")
    assert done.returncode == 1, done.stderr  # the DKIM records are not there either
    proof = json.loads(done.stdout)["records"][0]
    assert (proof["name"], proof["state"]) == (f"_relay.{DOMAIN}", "wrong")
    return str(proof["what_to_do"])


def _open(link: str, content: bytes | None = None) -> str:
    with urllib.request.urlopen(urllib.request.Request(link, content), timeout=30) as answer:
        text: str = answer.read().decode()
        return text
