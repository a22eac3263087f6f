import asyncio
from typing import Any

import pytest

from relay.base.tasks import Tasks
from relay.daemon import publishing
from relay.daemon.link import LinkError
from relay.daemon.publishing import publish, publish_once


class Link:
    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.refusals = 0
        self.has_three = asyncio.Event()

    async def ask(self, what: str, timeout_s: float = 60.0, **fields: Any) -> None:
        assert what == "publish"
        if self.refusals:
            self.refusals -= 1
            raise LinkError("busy")
        self.sent.append(fields["readings"])
        if len(self.sent) == 3:
            self.has_three.set()


async def test_readings_are_sent() -> None:
    link = Link()
    await publish_once(link, lambda: {"accepted": 1})  # type: ignore[arg-type]
    assert link.sent == [{"accepted": 1}]


async def test_it_goes_on_whatever_happens(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(publishing, "EVERY_S", 0.0)
    link, tasks, count = Link(), Tasks("test"), 0
    link.refusals = 1

    def read() -> dict[str, Any]:
        nonlocal count
        count += 1
        if count in (2, 4):
            raise ValueError("a bug")
        return {"accepted": count}

    tasks.spawn(publish(link, read), "publish")  # type: ignore[arg-type]
    async with asyncio.timeout(10):
        await link.has_three.wait()
    await tasks.end()
    assert [one["accepted"] for one in link.sent[:3]] == [3, 5, 6]
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == [
        "readings cannot be had; the scrape shows older ones"
    ]
