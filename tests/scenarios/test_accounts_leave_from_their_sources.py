"""Accounts with sources of their own: the receiver sees the address and the EHLO name of each, in both
families; what a reload takes away falls back to the default."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from tests.fakes.prepared import ACCOUNT, DOMAIN, HOSTNAME, SENDER, message, wait_until
from tests.fakes.running import RunningRelay
from tests.fakes.sink import Answer, Received
from tests.scenarios.conftest import StartRelay
from tests.scenarios.receiver import Receiver

SOURCES = """
[[source]]
name = "two"
addresses = ["127.0.0.2", "::1"]
helo_name = "two.relay.example"
[[source]]
name = "three"
addresses = ["127.0.0.3"]
helo_name = "three.relay.example"
[[source]]
name = "nowhere"
addresses = ["192.0.2.99"]
[[source_pool]]
name = "both"
sources = ["two", "three"]
"""


class Seeing(Receiver):
    """Notes from where each message came, and under what name: ``came``, by subject."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        super().__init__(host=host)
        self.came: dict[str, tuple[str, str]] = {}
        self._peers: dict[Any, list[str]] = {}

    async def _converse(self, reader: Any, writer: Any) -> None:
        peer = self._peers[asyncio.current_task()] = [writer.get_extra_info("peername")[0], ""]
        read = reader.readline

        async def readline() -> bytes:
            line: bytes = await read()
            if line.upper().startswith(b"EHLO "):
                peer[1] = line[5:].strip().decode()
            return line

        reader.readline = readline
        await super()._converse(reader, writer)

    async def at_dot(self, message: Received) -> Answer:
        address, name = self._peers[asyncio.current_task()]
        self.came[message.subject] = (address, name)
        return await super().at_dot(message)

    def see(self, subject: str) -> tuple[str, str]:
        """From where the message with this subject came."""
        return wait_until(lambda: self.came.get(subject), f"{subject!r} arrives")


@pytest.fixture
def four() -> Iterator[Seeing]:
    with Seeing() as receiver:
        yield receiver


@pytest.fixture
def six() -> Iterator[Seeing]:
    with Seeing("::1") as receiver:
        yield receiver


def send(relay: RunningRelay, login: Any, subject: str, to: str = "someone@receiver.example") -> None:
    with relay.client(login.smtp_username, login.smtp_password) as client:
        client.sendmail(SENDER, [to], message(subject))


def test_each_account_from_its_own(start_relay: StartRelay, four: Seeing, six: Seeing) -> None:
    route = f'[[route]]\ndomain = "six.example"\nnext_hop = "[::1]:{six.port}"\ntls = "none"\n'
    relay = start_relay(next_hop=four.port, more=route + SOURCES)
    directory = relay.directory()
    logins = {ACCOUNT: directory.credentials.create(ACCOUNT)}
    for name, source in (("first", "two"), ("second", "three"), ("lost", "nowhere"), ("spread", "both")):
        directory.accounts.create(name, max_send_rate=-1, max_24_hours=-1, source=source)
        directory.identities.add(name, DOMAIN, is_verified=True)
        logins[name] = directory.credentials.create(name)
    relay.wait_for_directory(directory)

    send(relay, logins[ACCOUNT], "default")
    send(relay, logins["first"], "of two")
    send(relay, logins["second"], "of three")
    send(relay, logins["first"], "of two by six", "someone@six.example")
    assert four.see("default") == ("127.0.0.1", HOSTNAME)
    assert four.see("of two") == ("127.0.0.2", "two.relay.example")
    assert four.see("of three") == ("127.0.0.3", "three.relay.example")
    assert six.see("of two by six") == ("::1", "two.relay.example")

    for number in range(16):
        send(relay, logins["spread"], f"spread {number}")
    came = {four.see(f"spread {number}") for number in range(16)}
    assert came == {("127.0.0.2", "two.relay.example"), ("127.0.0.3", "three.relay.example")}

    send(relay, logins["second"], "no six", "someone@six.example")
    send(relay, logins["lost"], "lost")
    for said in ("192.0.2.99 is not an address of this machine", "has no address of a family that"):
        wait_until(lambda said=said: said in relay.log(), said)

    changed = relay.command("account", "set", "first", "--source", "three")
    assert changed.returncode == 0, changed.stderr
    relay.wait_for_directory(directory)
    directory.close()
    send(relay, logins["first"], "moved")
    assert four.see("moved") == ("127.0.0.3", "three.relay.example")

    relay.configure(more=route + SOURCES[: SOURCES.index('[[source]]\nname = "three"')])
    relay.ask("reload")
    send(relay, logins["first"], "fallen back")
    assert four.see("fallen back") == ("127.0.0.1", HOSTNAME)
    wait_until(lambda: "source is not in the configuration" in relay.log(), "the fall is told")
    assert four.see("lost") == ("127.0.0.1", HOSTNAME)  # deferred until its source had gone
    assert six.see("no six") == ("::1", HOSTNAME)
