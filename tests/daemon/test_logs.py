"""Lines: what they look like, that no client can make a second one, that mail goes on without a reader."""

import asyncio
import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from relay.daemon import logs
from tests.fakes.clock import ManualClock


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


async def written(form: str, level: str = "info", /, **fields: object) -> str:
    """What one line about a message becomes."""
    reading, writing = os.pipe()
    lines = logs.Lines(ManualClock(), level, form, 1, writing)
    lines("accepted", "0001", **fields)
    await asyncio.sleep(0)
    os.close(writing)
    with os.fdopen(reading) as stream:
        return stream.read()


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("plain-1.2:3/[4]", "plain-1.2:3/[4]"),
        (17, "17"),
        ("two words", '"two words"'),
        ("a=b", '"a=b"'),
        ('say "hi"', '"say \\"hi\\""'),
        ("a\r\nat=now event=forged", '"a\\r\\nat=now event=forged"'),
        ("\x1b[31mred", '"\\u001b[31mred"'),
        ("\x9b31mred", '"\\u009b31mred"'),
        ("a\u2028b\x85c", '"a\\u2028b\\u0085c"'),
        ("größe", "größe"),
    ],
)
async def test_a_value_is_quoted_where_it_must_be(value: object, shown: str) -> None:
    line = await written("keyvalue", x=value, empty="")
    assert line == f"at=2027-01-15T08:00:00.000000Z event=accepted id=0001 worker=1 x={shown}\n"
    assert len(line.splitlines()) == 1


async def test_a_surrogate_from_a_broken_client_is_written_all_the_same() -> None:
    assert "x=a\\udc80\n" in await written("keyvalue", x="a\udc80")


async def test_json_has_every_field() -> None:
    line = json.loads(await written("json", x="two words", empty=""))
    assert line == {
        "at": "2027-01-15T08:00:00.000000Z",
        "event": "accepted",
        "id": "0001",
        "worker": 1,
        "x": "two words",
        "empty": "",
    }


async def test_lines_of_one_turn_go_out_in_one_write() -> None:
    reading, writing = os.pipe()
    lines = logs.Lines(ManualClock(), "info", "keyvalue", 0, writing)
    for number in range(3):
        lines("accepted", str(number))
    os.set_blocking(reading, False)
    with pytest.raises(BlockingIOError):
        os.read(reading, 1)
    await asyncio.sleep(0)
    assert os.read(reading, 65536).count(b"\n") == 3
    lines.flush()
    os.close(writing)
    assert os.read(reading, 1) == b""
    os.close(reading)


async def test_a_log_that_nobody_reads_stops_nothing() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    lines = logs.Lines(ManualClock(), "info", "keyvalue", 0, writing)
    lines("accepted", "1")
    lines.flush()
    os.close(writing)


@pytest.mark.parametrize(("level", "is_on"), [("debug", True), ("info", True), ("warning", False)])
def test_lines_of_messages_are_of_level_info(level: str, is_on: bool) -> None:
    lines = logs.Lines(ManualClock(), "error", "json", 0)
    lines.set_form(level, "json")
    assert lines.is_on is is_on


def test_rare_lines_have_their_fields(capfd: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "keyvalue", 1)
    logging.getLogger("relay.x").info("it happened", extra={"why": "no reason", "count": 2})
    line = capfd.readouterr().err
    assert ' level=info event="it happened" logger=relay.x why="no reason" count=2 worker=1\n' in line
    logs.configure("warning", "json")
    logging.getLogger("relay.x").info("not shown")
    logging.getLogger("relay.x").warning("shown", extra={"path": Path("/x")})
    shown = json.loads(capfd.readouterr().err)
    assert (shown["event"], shown["level"], shown["path"]) == ("shown", "warning", "/x")


def test_a_traceback_follows_its_line(capfd: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "keyvalue")
    try:
        raise ValueError("broken")
    except ValueError:
        logging.getLogger("relay.x").exception("failed")
    first, *rest = capfd.readouterr().err.splitlines()
    assert "event=failed" in first
    assert rest[-1] == "ValueError: broken"


def test_the_libraries_speak_only_of_trouble(capfd: pytest.CaptureFixture[str]) -> None:
    logs.configure("debug", "keyvalue")
    for name in ("mail.log", "uvicorn.error", "sqlalchemy.engine"):
        logging.getLogger(name).info("chatter")
    assert capfd.readouterr().err == ""
