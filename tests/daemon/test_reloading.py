"""A reload: what is wrong changes nothing anywhere, and how the last one went is remembered."""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from relay.base.errors import ConfigError, RelayError
from relay.daemon import first
from relay.daemon.link import LinkError
from relay.daemon.settings import config
from relay.daemon.supervisor.reloading import Reloading
from relay.directory import keys
from tests.fakes.clock import ManualClock


class Party:
    """The workers, or the notifier: what they were asked, and what they refuse."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.refuses = ""
        self.all_ready = asyncio.Event()

    async def prepare(self, text: str) -> None:
        if self.refuses:
            raise LinkError(self.refuses)
        self.heard.append("prepare")

    async def take_over(self, text: str) -> None:
        if self.refuses:
            raise LinkError(self.refuses)
        self.heard.append(text[:1])


class Room:
    def __init__(self, folder: Path) -> None:
        first.make(folder, first.Choices("m.example.com"))  # keys and a certificate
        self.file = folder / "relay.toml"
        self.write("#1\n")
        text, file = config.read(self.file)
        settings = config.parse(text, file)
        self.clock, self.workers, self.notifier = ManualClock(), Party(), Party()
        self.taken: list[config.Config] = []
        workers: Any = self.workers
        notifier: Any = self.notifier
        self.reloading = Reloading(text, settings, workers, notifier, self.clock, self.taken.append)

    def write(self, more: str) -> None:
        self.file.write_text(
            "[relay]\nhostname='m.example.com'\n[directory]\nkey_file='relay.key'\n"
            f"[tls]\ncertificate='tls.crt'\nprivate_key='tls.key'\n{more}"
        )


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


async def test_a_good_one_is_passed_on_and_remembered(room: Room) -> None:
    assert room.reloading.told() is None
    room.write("[delivery]\nmax_age='1h'\n[workers]\ncount=7\n")
    assert await room.reloading.run("root") == ["[workers] count"]
    assert (room.workers.heard, room.notifier.heard) == (["["], ["prepare", "["])
    assert [one.delivery.max_age for one in room.taken] == [3600.0]
    assert room.reloading.text.endswith("count=7\n")
    assert room.reloading.boot_text.endswith("#1\n")
    assert room.reloading.told() == {
        "at": room.clock.now(),
        "ok": True,
        "why": "needs a restart: [workers] count",
        "by": "root",
    }
    assert (room.reloading.done, room.reloading.failed) == (1, 0)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ("[delivery]\nmax_age = '1", r"not TOML: .*end of document"),  # half of a file
        ("[delivery]\nmax_age = 1h\n", r"not TOML: .* \(at line 9, column 12\)"),
        ("[spol]\n", "spol: unknown setting; did you mean 'spool'"),
        ("[limits]\nrecipients = 'many'\n", "limits.recipients: "),
        (
            "[[route]]\ndomain='x.example'\nnext_hop='h:587'\ntls='required'\nusername='u'\n"
            "password_file='gone'\n",
            'domain "x.example": password file .*gone: No such file',
        ),
    ],
)
async def test_a_bad_one_asks_nobody(room: Room, more: str, why: str) -> None:
    room.write(more)
    with pytest.raises(ConfigError, match=why):
        await room.reloading.run("root")
    assert room.workers.heard == room.notifier.heard == room.taken == []
    told = room.reloading.told()
    assert told is not None
    assert not told["ok"]
    assert str(room.file) in told["why"]
    assert (room.reloading.done, room.reloading.failed) == (0, 1)


async def test_a_certificate_that_is_not_of_its_key_or_gone(room: Room, tmp_path: Path) -> None:
    (tmp_path / "tls.key").write_bytes(keys.generate(keys.RSA))
    with pytest.raises(ConfigError, match=r"tls\.key is not the key of the certificate .*tls\.crt"):
        await room.reloading.run("root")
    (tmp_path / "tls.key").unlink()
    with pytest.raises(ConfigError, match=r"\[tls\] private_key: .*tls\.key: No such file"):
        await room.reloading.run("root")
    assert (room.workers.heard, room.reloading.failed) == ([], 2)


@pytest.mark.parametrize("who", ["workers", "notifier"])
async def test_one_who_refuses_keeps_all_as_they_were(room: Room, who: str) -> None:
    getattr(room, who).refuses = "[x] y: is wrong"
    room.write("[delivery]\nmax_age='1h'\n")
    with pytest.raises(RelayError, match=r"\[x\] y: is wrong"):
        await room.reloading.run("root")
    assert room.workers.heard == room.taken == []
    assert room.reloading.text == room.reloading.boot_text
    getattr(room, who).refuses = ""
    await room.reloading.run("root")
    assert [one.delivery.max_age for one in room.taken] == [3600.0]


async def test_a_signal_raises_nothing_and_is_remembered_as_one(room: Room) -> None:
    room.file.unlink()
    await room.reloading.logged()
    told = room.reloading.told()
    assert told is not None
    assert (told["ok"], told["by"]) == (False, "SIGHUP")
    assert "no such file" in told["why"]
    room.write("")
    await asyncio.gather(room.reloading.logged(), room.reloading.run("root"))
    assert room.reloading.done == 2


@pytest.mark.parametrize("is_refused", [False, True])
async def test_systemd_hears_of_each_that_begins_and_ends(
    room: Room, monkeypatch: pytest.MonkeyPatch, is_refused: bool
) -> None:
    """Also of one by the command line; before the first READY, a reload must not say it in its place."""
    said: list[str] = []
    monkeypatch.setattr("relay.daemon.systemd.notify", said.append)
    room.workers.refuses = "no" if is_refused else ""
    for is_ready in (False, True):
        if is_ready:
            room.workers.all_ready.set()
        with suppress(LinkError):
            await room.reloading.run("root")
    assert said == [f"RELOADING=1\nMONOTONIC_USEC={int(room.clock.monotonic() * 1e6)}", "READY=1"]
