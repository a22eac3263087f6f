"""A worker's answers to the supervisor, without a process around it."""

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from relay.base.errors import ConfigError
from relay.daemon.board import Board, SharedTally
from relay.daemon.link import LinkError
from relay.daemon.orders import Orders
from relay.daemon.worker.worker import Worker
from tests.daemon.conftest import Started
from tests.fakes.prepared import ACCOUNT, SENDER


@pytest.fixture
def worker(started: Started):
    """A worker around works that run already."""
    orders = Orders(0, 1, [], 0, 0, 0, str(started.file), [])
    made = Worker(orders, started.works.config, started.works.config)
    made.works = started.works
    board = Board.make(1)
    made.tally = SharedTally(board, 0, 9, 9, str)
    yield made
    board.close()


async def test_readings_have_the_process_too(worker: Worker) -> None:
    found = await worker.answer("readings", {})
    assert found["resident_bytes"] > 10_000_000
    assert found["cpu_seconds"] > 0
    json.dumps(found)  # it goes over the link


async def test_a_reload_in_two_steps(worker: Worker, started: Started) -> None:
    text = started.text.replace("recipients = 50", "recipients = 3\nconnections = 4").replace('"1s"', '"2s"')
    await worker.answer("prepare", {"text": text})
    assert worker.works.config.limits.recipients == 50
    await worker.answer("take over", {})
    assert (worker.works.config.limits.recipients, worker.tally.limit) == (3, 4)
    assert worker.works.config.workers.drain == 1.0
    with pytest.raises(LinkError, match="nothing was prepared"):
        await worker.answer("take over", {})
    with pytest.raises(ConfigError, match="did you mean 'spool'"):
        await worker.answer("prepare", {"text": "[spol]"})


async def test_operations_on_the_queue(worker: Worker, started: Started, nobody: int) -> None:
    message_id = await started.submit()

    async def until(condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not condition():
                await asyncio.sleep(0.01)

    await until(lambda: started.works.outbound.settler.deferred > 0)
    everything: dict[str, Any] = {}
    only = {"ids": [message_id]}
    other = {"ids": ["0" * 16 + message_id[16:]]}

    async def steer(operation: str, chosen: dict[str, Any]) -> int:
        asked = {"operation": operation, "chosen": chosen}
        counted = await worker.answer("steer count", asked)
        done, cursor = 0, None
        while True:
            step = await worker.answer("steer", {**asked, "cursor": cursor, "by": "root"})
            done, cursor = done + step["done"], step["cursor"]
            if cursor is None:
                assert done == counted
                return done

    assert await steer("hold", other) == 0
    assert await steer("hold", everything) == 1
    assert await steer("flush", only) == 0  # what is held is not due
    assert await worker.answer("domains of site", {"site": f"hop:127.0.0.1:{nobody}"}) == ["receiver.example"]
    assert await worker.answer("domains of site", {"site": "127.0.0.1"}) == ["receiver.example"]
    assert await worker.answer("domains of site", {"site": "hop:127.0.0.1:1"}) == []
    assert await steer("release", only) == 1
    (site,) = await worker.answer("sites", {"site": str(nobody), "limit": 5})
    assert (site["site"], site["state"]) == (f"hop:127.0.0.1:{nobody}", "open")  # the release forgives
    assert await worker.answer("sites", {"site": "nowhere"}) == []
    assert await steer("delete", only) == 1
    assert await steer("delete", everything) == 0
    assert (await worker.answer("readings", {}))["operated"] == {"hold": 1, "release": 1, "delete": 1}
    # what was released may be on its way through memory when it is deleted
    await until(lambda: started.works.outbound.scheduler.window.held == 0)
    with pytest.raises(LinkError, match="unknown request 'nonsense'"):
        await worker.answer("nonsense", {})


async def test_a_submission_is_accepted_under_its_limits(worker: Worker) -> None:
    fields = {"account": ACCOUNT, "sender": SENDER, "recipients": ["x@receiver.example"] * 51, "content": ""}
    assert (await worker.answer("submit", fields))["code"] == 552


def test_a_configuration_that_cannot_be_read_is_its_exit_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from relay.daemon.worker import worker as module

    memory = os.memfd_create("config")
    os.write(memory, json.dumps(["[spol]", "[spol]"]).encode())
    orders = Orders(0, 1, [], 0, 0, memory, str(tmp_path / "r.toml"), [])
    monkeypatch.setenv("RELAY_WORKER", orders.to_environment())
    monkeypatch.setattr(module.faulthandler, "enable", lambda: None)
    assert module.main() == 78
    assert "did you mean 'spool'" in capsys.readouterr().err
