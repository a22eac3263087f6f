"""Relays that run: one set of keys per session, one relay per module for tests that do not disturb it; and
the works of one worker, started in the process of the test."""

import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from relay.base.clock import SystemClock
from relay.base.log import SilentLog
from relay.base.message import Client, Envelope, Recipient, Submission
from relay.daemon.settings.config import Config, load
from relay.daemon.sockets import bind, listen
from relay.daemon.worker.wiring import Works
from relay.ingress.connections import LocalTally
from tests.fakes import made_before
from tests.fakes.prepared import ACCOUNT, SENDER, SHARED_FILES, Port, Prepared, prepare
from tests.fakes.running import RunningRelay

StartRelay = Callable[..., RunningRelay]


@pytest.fixture(autouse=True)
def _made_before(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not for the tests of what a first start makes."""
    if request.module.__name__ not in ("tests.daemon.test_first", "tests.daemon.test_init"):
        made_before.use(monkeypatch)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepare(tmp_path_factory.mktemp("prepared"))


@pytest.fixture(scope="session")
def nobody() -> Iterator[int]:
    """A port of loopback on which nobody listens."""
    port = Port()
    yield port.number
    port.free()


@pytest.fixture
def start_relay(tmp_path: Path, prepared: Prepared, nobody: int) -> Iterator[StartRelay]:
    """Start a relay that delivers to nobody; it ends with the test."""
    with ExitStack() as stack:

        def start(**settings: Any) -> RunningRelay:
            folder = tmp_path / f"relay-{len(list(tmp_path.iterdir()))}"
            return stack.enter_context(RunningRelay(folder, prepared, **{"next_hop": nobody, **settings}))

        yield start


@pytest.fixture(scope="module")
def running(
    tmp_path_factory: pytest.TempPathFactory, prepared: Prepared, nobody: int
) -> Iterator[RunningRelay]:
    """A relay whose mail waits: its next hop is down, and is tried again in an hour."""
    folder = tmp_path_factory.mktemp("running")
    with RunningRelay(folder, prepared, next_hop=nobody, retry='["1h"]') as relay:
        yield relay
        relay.stop()
        assert "Traceback" not in relay.log()


MORE = f"""
[[listener]]
address = "127.0.0.1:0"
tls = "none"
auth = "none"
trusted_networks = ["127.0.0.0/8"]
account = "{ACCOUNT}"
[[route]]
domain = "*"
next_hop = "127.0.0.1:NOBODY"
tls = "none"
[workers]
drain = "1s"
[limits]
recipients = 50
"""


@dataclass
class Started:
    works: Works
    text: str
    file: Path

    def changed(self, *pairs: tuple[str, str]) -> Config:
        """The configuration after these texts in the file were replaced."""
        text = self.text
        for old, new in pairs:
            assert old in text
            text = text.replace(old, new)
        self.file.write_text(text)
        return load(self.file)

    async def submit(self) -> str:
        content = f"From: {SENDER}\r\nSubject: x\r\n\r\nhi\r\n".encode()
        recipients = [Recipient(0, "x@receiver.example", "receiver.example")]
        submission = Submission(1, Envelope(SENDER, recipients), content, Client())
        return (await self.works.intakes[1].accept(submission)).id


@pytest.fixture
def file(tmp_path: Path, prepared: Prepared, nobody: int) -> Path:
    text = (prepared.folder / "relay.toml").read_text() + MORE.replace("NOBODY", str(nobody))
    for name in SHARED_FILES:
        shutil.copy(prepared.folder / name, tmp_path / name)
    for port in (":587", ":465"):
        text = text.replace(f'"0.0.0.0{port}", "[::]{port}"', '"127.0.0.1:0"')
    (tmp_path / "relay.toml").write_text(text)
    return tmp_path / "relay.toml"


@pytest.fixture
async def started(file: Path) -> AsyncIterator[Started]:
    config = load(file)
    works = Works(config, 0, SystemClock(), SilentLog())
    sockets = [bind(one.address[0], 1, "x") for one in config.listener]
    for one in sockets:
        listen(one)
    async with AsyncExitStack() as stack:
        await works.start(stack, sockets, LocalTally(), [])
        yield Started(works, file.read_text(), file)
