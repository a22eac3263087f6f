"""When a worker is started again, what is sent to one that hangs, and what it inherits."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from relay.daemon.sockets import bind
from relay.daemon.supervisor import child
from relay.daemon.supervisor.child import Child, Outfit, Restarts, hang_signal


@pytest.mark.parametrize(
    ("lives_s", "delays_s"),
    [
        ([0] * 10, [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0, 10.0]),
        ([0, 0, 60, 0], [0.1, 0.2, 0.0, 0.1]),
        ([3600], [0.0]),
        ([59.9], [0.1]),
    ],
)
def test_who_dies_young_waits_longer(lives_s: list[float], delays_s: list[float]) -> None:
    restarts = Restarts()
    assert [restarts.delay_s(one) for one in lives_s] == delays_s
    assert restarts.count == len(lives_s)


def test_a_thousand_deaths_still_wait_ten_seconds() -> None:
    restarts = Restarts()
    assert max(restarts.delay_s(0) for _ in range(2000)) == 10.0


@pytest.mark.parametrize(
    ("silent_s", "was_aborted", "number"),
    [
        (0.0, False, None),
        (30.0, False, None),
        (30.1, False, signal.SIGABRT),
        (31.0, True, None),  # it writes where it hung
        (35.1, True, signal.SIGKILL),  # stopped, or deep in the kernel
    ],
)
def test_a_worker_that_hangs_may_say_where(silent_s: float, was_aborted: bool, number: int | None) -> None:
    assert hang_signal(silent_s, 30.0, was_aborted) == number


# In place of a worker: it says over the link what it was given, and waits for the link to end.
_STUB = """
import json, os, socket, sys
orders = json.loads(os.environ["RELAY_WORKER"])
link = socket.socket(fileno=orders["link"]).makefile("rw")
def kind(fd):
    return os.readlink(f"/proc/self/fd/{fd}").partition(":")[0].partition(" ")[0]
open_ones = [int(n) for n in os.listdir("/proc/self/fd")]
told = {
    "fds": {n: kind(n) for n in open_ones if n > 2 and os.path.exists(f"/proc/self/fd/{n}")},
    "texts": json.loads(os.pread(orders["config"], 1 << 20, 0)),
    "orders": orders, "session": os.getsid(0) == os.getpid(), "stdin": os.readlink("/proc/self/fd/0"),
    "notify": os.environ.get("NOTIFY_SOCKET"), "heaps": os.environ.get("MALLOC_ARENA_MAX"),
}
link.write(json.dumps({"n": 1, "do": "told", "with": told}) + "\\n"); link.flush()
link.readline(); link.read()
"""


async def test_it_inherits_what_it_needs_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "relay"
    package.mkdir()
    (package / "__main__.py").write_text(_STUB)
    (package / "__init__.py").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/systemd/notify")
    monkeypatch.delenv("MALLOC_ARENA_MAX", raising=False)
    secret = os.open(package / "__init__.py", os.O_RDONLY)  # of ours; stands for lock and database
    told: asyncio.Future[dict[str, object]] = asyncio.get_running_loop().create_future()

    async def answer(what: str, fields: dict[str, object]) -> None:
        told.set_result(fields)

    bound = bind(("127.0.0.1", 0), 1, "x")
    board = os.memfd_create("board")
    before = len(os.listdir("/proc/self/fd"))
    started = await Child.start(Outfit(3, 4, [bound], board, ("boot", "now"), "/x", [7]), answer)
    serving = asyncio.get_running_loop().create_task(started.link.serve())
    found = await told
    orders = found["orders"]
    assert isinstance(orders, dict)
    fds = {int(number): kind for number, kind in dict(found["fds"]).items()}  # type: ignore[call-overload]
    given = {orders["link"], orders["board"], orders["config"], *orders["sockets"][0]}
    assert {number for number in fds if number in given} == given
    assert [
        kind for number, kind in fds.items() if number not in given and not kind.startswith("/proc")
    ] == []
    assert (orders["number"], orders["count"], orders["orphans"]) == (3, 4, [7])
    assert found["texts"] == ["boot", "now"]
    assert (found["session"], found["stdin"], found["notify"]) == (True, "/dev/null", None)
    assert found["heaps"] == "2"
    started.kill(signal.SIGKILL)
    assert await started.process.wait() == -signal.SIGKILL
    started.kill()  # of one that is gone: nothing
    await serving
    assert len(os.listdir("/proc/self/fd")) <= before
    assert await started.readings() is None
    for one in bound:
        one.close()
    os.close(secret)
    os.close(board)


async def test_one_that_cannot_be_started_leaves_nothing_open(monkeypatch: pytest.MonkeyPatch) -> None:
    async def answer(what: str, fields: dict[str, object]) -> None: ...

    board = os.memfd_create("board")
    before = os.listdir("/proc/self/fd")
    monkeypatch.setattr(child.sys, "executable", "/nonexistent/python")
    with pytest.raises(OSError, match="nonexistent"):
        await Child.start(Outfit(0, 1, [], board, ("", ""), "/x"), answer)
    assert len(os.listdir("/proc/self/fd")) <= len(before) + 2  # the loop's own watcher of children
    os.close(board)
