"""What the operator asks of the queue, spread over workers that the test plays."""

import logging
from typing import Any

import pytest

from relay.daemon.link import LinkError
from relay.daemon.supervisor.queue_requests import QueueRequests

MESSAGE_ID = "0000019a8c3b1f20-5b1c0000-0000-4000-8000-000000000000-000002"


class Played:
    """A worker: three recipients to change, one a step."""

    def __init__(self, number: int, left: int = 3) -> None:
        self.number = number
        self.left = left
        self.link = self
        self.asked: list[str] = []
        self.fails_with: Exception | None = None

    async def ask(self, what: str, timeout_s: float = 60.0, **fields: Any) -> Any:
        self.asked.append(what)
        if self.fails_with is not None:
            raise self.fails_with
        if what == "steer count":
            return self.left
        if what == "domains of site":
            return ["both.example", f"{self.number}.example"]
        if what != "steer":
            return self.number
        if not self.left:
            return {"done": 0, "messages": 0, "busy": 0, "cursor": None}
        self.left -= 1
        return {"done": 1, "messages": 0, "busy": 0, "cursor": [1, 2, 3]}


class Several:
    def __init__(self, *workers: Played) -> None:
        self.ready = list(workers)
        self.count = 2

    def everyone(self) -> list[Played]:
        return self.ready


@pytest.fixture
def workers() -> Several:
    return Several(Played(0), Played(1, left=1))


async def test_steps_until_no_worker_has_a_cursor(workers: Several, caplog: pytest.LogCaptureFixture) -> None:
    requests = QueueRequests(workers)  # type: ignore[arg-type]
    fields = {"operation": "hold", "chosen": {"domain": "a.example", "state": "", "ids": []}}
    cursors, done = None, 0
    with caplog.at_level(logging.INFO):
        while True:
            step = await requests.answer("steer", {**fields, "cursors": cursors}, "root")
            done, cursors = done + step["done"], step["cursors"]
            if not cursors:
                break
    assert done == 4
    assert (workers.ready[0].asked, workers.ready[1].asked) == (["steer"] * 4, ["steer"] * 2)
    begins, ends = caplog.records
    assert (begins.message, begins.domain, begins.by, begins.operation) == (
        "queue operation begins",
        "a.example",
        "root",
        "hold",
    )
    assert not hasattr(begins, "state")
    assert ends.message == "queue operation ends"


async def test_a_worker_that_fails_ends_it(workers: Several) -> None:
    workers.ready[1].fails_with = LinkError("the other process is gone")
    with pytest.raises(LinkError, match="hold stopped, and may have ended in some workers: the other"):
        await QueueRequests(workers).answer("steer", {"operation": "hold", "chosen": {}}, "root")  # type: ignore[arg-type]


async def test_counts_are_added_and_domains_joined(workers: Several) -> None:
    requests = QueueRequests(workers)  # type: ignore[arg-type]
    assert await requests.answer("steer count", {"operation": "hold", "chosen": {}}, "") == 4
    assert await requests.answer("domains of site", {"site": "x"}, "") == [
        "0.example",
        "1.example",
        "both.example",
    ]
    assert await requests.answer("sites", {}, "") == [0, 1]


async def test_the_worker_that_has_the_shard_explains(workers: Several) -> None:
    requests = QueueRequests(workers)  # type: ignore[arg-type]
    assert await requests.answer("explain", {"message_id": MESSAGE_ID}, "") == 1
    workers.ready.pop()
    with pytest.raises(LinkError, match="worker 1 is not ready"):
        await requests.answer("explain", {"message_id": MESSAGE_ID}, "")


async def test_a_suspension_is_logged_with_who_made_it(
    workers: Several, caplog: pytest.LogCaptureFixture
) -> None:
    for is_over, said in ((False, "deliveries are suspended"), (True, "deliveries are resumed")):
        fields = {"kind": "domain", "target": "a.example", "reason": "x", "is_over": is_over}
        await QueueRequests(workers).answer("note suspension", fields, "ann")  # type: ignore[arg-type]
        record = caplog.records[-1]
        assert (record.message, record.target, record.by) == (said, "a.example", "ann")
