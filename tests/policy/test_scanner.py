"""The client of clamd against the real clamd, and against peers that misbehave."""

import asyncio
import base64
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from relay.base.admission import Admission
from relay.base.errors import Refused
from relay.base.message import Client, Envelope, Submission
from relay.policy.clamd import NoAnswer
from relay.policy.scanner import CONCURRENCY, Scanner, ScannerSettings
from tests.fakes.clamd import SIGNATURE, STREAM_MAX_LENGTH, Clamd, eicar

Peer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture(scope="module")
def clamd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clamd]:
    with Clamd(tmp_path_factory.mktemp("clamd")) as running:
        yield running


@pytest.fixture(params=["unix", "tcp"])
def scanner(request: pytest.FixtureRequest, clamd: Clamd) -> Scanner:
    if request.param == "unix":
        return Scanner(ScannerSettings(path=str(clamd.path)))
    return Scanner(ScannerSettings(host="127.0.0.1", port=clamd.port))


def mail(attached: bytes) -> bytes:
    return (
        b"From: a@example.org\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        b"--b\r\n\r\ntext\r\n--b\r\nContent-Type: application/octet-stream; name=a.bin\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\n"
        + base64.encodebytes(attached).replace(b"\n", b"\r\n")
        + b"--b--\r\n"
    )


async def test_real_clamd(scanner: Scanner) -> None:
    assert await scanner.scan(mail(b"harmless")) == ""
    assert SIGNATURE in await scanner.scan(mail(eicar()))  # within base64
    assert SIGNATURE in await scanner.scan(eicar())
    assert await scanner.scan(b"") == ""
    assert await scanner.scan(mail(bytes(1_000_000))) == ""
    assert (scanner.clean, scanner.infected, scanner.failed) == (3, 2, 0)


async def test_real_clamd_takes_no_more_than_its_limit(scanner: Scanner) -> None:
    with pytest.raises(NoAnswer, match="StreamMaxLength"):
        await scanner.scan(bytes(STREAM_MAX_LENGTH + 1))
    assert scanner.failed == 1
    assert await scanner.scan(mail(b"harmless")) == ""


async def test_many_at_once_on_real_clamd(scanner: Scanner) -> None:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(scanner.scan(mail(eicar() if n % 2 else b"%d" % n))) for n in range(40)]
    assert [bool(task.result()) for task in tasks] == [bool(n % 2) for n in range(40)]


@asynccontextmanager
async def peer(path: Path, behave: Peer) -> AsyncIterator[Scanner]:
    """A peer that is no clamd, and a scanner that asks it."""
    socket, tasks = path / "s", set()

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        tasks.add(task)
        try:
            with suppress(ConnectionError):
                await behave(reader, writer)
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    server = await asyncio.start_unix_server(served, socket)
    try:
        yield Scanner(ScannerSettings(path=str(socket), timeout_s=5.0))
    finally:
        server.close()
        await server.wait_closed()
        await asyncio.gather(*tasks)


async def closes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    pass


async def says_and_closes(said: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(100)
    writer.write(said)


async def hangs(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.read(65536):
        pass


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"", "without an answer"),
        (b"220 mail.example ESMTP\r\n\0", "clamd said '220 mail.example ESMTP'"),
        (b"stream: OK MAYBE\0", "clamd said"),
        (b"x" * 100_000, "clamd's answer has no end"),
        (b"INSTREAM size limit exceeded. ERROR\0", "StreamMaxLength"),
    ],
)
@pytest.mark.parametrize("size", [10, 5_000_000])
async def test_garbage(tmp_path: Path, said: bytes, why: str, size: int) -> None:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await says_and_closes(said, reader, writer)

    async with peer(tmp_path, behave) as scanner:
        with pytest.raises(NoAnswer) as caught:
            await scanner.scan(bytes(size))
        assert why in str(caught.value) or (size > 1000 and "closed the connection" in str(caught.value))
        assert scanner.failed == 1


async def test_an_answer_without_its_end_counts(tmp_path: Path) -> None:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await says_and_closes(b"stream: X FOUND", reader, writer)

    async with peer(tmp_path, behave) as scanner:
        assert await scanner.scan(b"x") == "X"


async def test_a_peer_that_closes_at_once(tmp_path: Path) -> None:
    async with peer(tmp_path, closes) as scanner:
        with pytest.raises(NoAnswer):
            await scanner.scan(bytes(5_000_000))


async def test_a_peer_that_hangs(tmp_path: Path) -> None:
    async with peer(tmp_path, hangs) as scanner:
        scanner.settings = ScannerSettings(path=scanner.settings.path, timeout_s=0.05)
        with pytest.raises(NoAnswer, match=r"no answer of clamd within 0\.05 s"):
            await scanner.scan(b"x")
        assert scanner.failed == 1


async def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(NoAnswer, match=f"cannot be reached at {tmp_path}/none"):
        await Scanner(ScannerSettings(path=f"{tmp_path}/none")).scan(b"x")


async def test_so_many_at_a_time_and_the_wait_counts(tmp_path: Path) -> None:
    connected, go_on = [], asyncio.Event()

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.append(writer)
        await go_on.wait()
        await says_and_closes(b"stream: OK\0", reader, writer)

    async with peer(tmp_path, behave) as scanner, asyncio.TaskGroup() as group:
        tasks = [group.create_task(scanner.scan(b"x")) for _ in range(CONCURRENCY + 3)]
        while len(connected) < CONCURRENCY:
            await asyncio.sleep(0)
        scanner.settings = ScannerSettings(path=scanner.settings.path, timeout_s=0.05)
        with pytest.raises(NoAnswer, match="within"):  # never had a slot
            await scanner.scan(b"x")
        assert len(connected) == CONCURRENCY
        go_on.set()
    assert [task.result() for task in tasks] == [""] * (CONCURRENCY + 3)


async def test_a_scan_that_is_given_up_frees_its_slot(tmp_path: Path) -> None:
    async with peer(tmp_path, hangs) as scanner:
        scanner.settings = ScannerSettings(path=scanner.settings.path, timeout_s=0.01)
        for _ in range(CONCURRENCY + 1):
            with pytest.raises(NoAnswer):
                await scanner.scan(b"x")


def submission(content: bytes) -> Submission:
    return Submission(7, Envelope("a@example.org"), content, Client(credential="KEY"))


async def test_infected_is_dropped(clamd: Clamd, caplog: pytest.LogCaptureFixture) -> None:
    scanner = Scanner(ScannerSettings(path=str(clamd.path)))
    clean, infected = Admission[str](), Admission[str]()
    await scanner.screen(submission(mail(b"harmless")), clean)
    await scanner.screen(submission(mail(eicar())), infected)
    assert (clean.dropped, infected.dropped) == ("", "Bad content")
    (record,) = caplog.records
    assert (record.found, record.account, record.credential) == (f"{SIGNATURE}.UNOFFICIAL", 7, "KEY")


async def test_without_an_answer_it_is_451_or_passes(
    tmp_path: Path, clamd: Clamd, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    scanner = Scanner(ScannerSettings(path=f"{tmp_path}/none"))
    for _ in range(2):
        with pytest.raises(Refused) as caught:
            await scanner.screen(submission(b"x"), Admission[str]())
        assert caught.value.reply.code == 451
        assert "none" not in caught.value.reply.text
        assert "cannot be reached" in caught.value.detail
    scanner.settings = ScannerSettings(path=f"{tmp_path}/none", failure="pass")
    passed = Admission[str]()
    await scanner.screen(submission(b"x"), passed)
    assert passed.dropped == ""
    scanner.settings = ScannerSettings(path=str(clamd.path))
    for _ in range(2):
        await scanner.screen(submission(b"x"), passed)
    assert [record.message for record in caplog.records] == [
        "the virus scanner does not answer; messages are refused for now",
        "the virus scanner answers again",
    ]


def test_is_on() -> None:
    assert not ScannerSettings().is_on
    assert ScannerSettings(path="/run/clamd").is_on
    assert ScannerSettings(host="localhost", port=3310).is_on
