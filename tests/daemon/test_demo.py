"""The demonstration, on free ports: from an empty folder to a message that dkimpy verifies."""

import asyncio
import dataclasses
import json
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from relay.base.errors import RelayError
from relay.daemon import demo
from relay.daemon.commands.app import app
from tests.fakes.prepared import Port


@pytest.fixture
def ports():
    held = [Port() for _ in range(4)]
    yield demo.Ports(*[one.number for one in held])
    for one in held:
        one.free()


async def test_one_message_from_end_to_end(tmp_path: Path, ports: demo.Ports) -> None:
    said: list[str] = []
    result = await demo.run(tmp_path, once=True, say=said.append, ports=ports)
    assert (result["delivered"], result["dkim"]) == (True, "pass")
    assert [line.split()[0] for line in said] == [
        "configuration", "running", "accepted", "signed", "signed", "signed", "delivered",
    ]  # fmt: skip
    assert result["message_id"] in said[2]
    assert stat.S_IMODE((tmp_path / "demo-login.json").stat().st_mode) == 0o600
    log = (tmp_path / "relay.log").read_text()
    assert "relay ended" in log
    assert json.loads((tmp_path / "demo-login.json").read_text())["password"] not in log

    login = (tmp_path / "demo-login.json").read_text()
    again = await demo.run(tmp_path, once=True, say=said.append, ports=ports)
    assert again["dkim"] == "pass"
    assert (tmp_path / "demo-login.json").read_text() == login


async def test_it_ends_its_relay_when_it_is_ended(tmp_path: Path, ports: demo.Ports) -> None:
    said: list[str] = []
    task = asyncio.get_running_loop().create_task(
        demo.run(tmp_path, once=False, say=said.append, ports=ports)
    )
    async with asyncio.timeout(60):
        while not any("It keeps serving" in line for line in said):
            await asyncio.sleep(0.02)
            assert not task.done(), task.result()
    hints = said[-1]
    assert f"--server 127.0.0.1:{ports.starttls}" in hints
    assert f"curl http://127.0.0.1:{ports.metrics}/metrics" in hints
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert "relay ended" in (tmp_path / "relay.log").read_text()


async def test_a_relay_that_does_not_start_is_told_of(tmp_path: Path, ports: demo.Ports) -> None:
    taken = Port()
    taken._socket.listen()
    ports = dataclasses.replace(ports, metrics=taken.number)
    with pytest.raises(RelayError, match=r"the relay ended with status 75; see .*relay.log"):
        await demo.run(tmp_path, once=True, say=lambda _: None, ports=ports)
    assert "another program listens there" in (tmp_path / "relay.log").read_text()
    taken.free()


def test_a_demonstration_that_runs_already_is_the_likely_reason(tmp_path: Path) -> None:
    port = Port(number=0)
    port._socket.listen()
    said: list[str] = []
    with pytest.raises(RelayError, match="does a demo run already"):
        asyncio.run(demo.run(tmp_path, once=True, say=said.append, ports=demo.Ports(receiver=port.number)))
    port.free()


def test_signatures_are_counted_and_judged() -> None:
    content = b"DKIM-Signature: v=1; a=rsa-sha256; d=x.example; s=s; h=from; bh=; b=\r\n"
    content += b"From: a@x.example\r\n\r\nhi\r\n"
    assert [good for _, good in demo.verify(content, {})] == [False]
    assert demo.verify(b"From: a@x.example\r\n\r\nhi\r\n", {}) == []


def test_the_command_fails_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "relay.toml").write_text("[spol]\n")
    result = CliRunner().invoke(app, ["demo", str(tmp_path), "--once"])
    assert (result.exit_code, result.stdout) == (1, "")
    assert "did you mean 'spool'?" in result.stderr
