"""Turns: one at a time, in this process and over processes."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from relay.base.errors import SpoolError
from relay.spool.turns import FILE, Turns

_HOLDER = """
import asyncio, sys
from pathlib import Path
from relay.spool.turns import Turns
async def hold():
    async with Turns(Path(sys.argv[1])).of("one"):
        print("mine", flush=True)
        sys.stdin.read()
asyncio.run(hold())
"""


@pytest.fixture
def holder(tmp_path: Path):
    """Another process that has its turn at "one" until its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"mine\n"
    yield process
    process.kill()
    process.communicate()


async def test_the_same_id_is_one_after_the_other_and_others_are_not(tmp_path: Path) -> None:
    turns = Turns(tmp_path)
    said: list[str] = []

    async def go(message_id: str, name: str) -> None:
        async with turns.of(message_id):
            said.append(f"{name} in")
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            said.append(f"{name} out")

    await asyncio.gather(go("one", "a"), go("one", "b"), go("two", "c"))
    assert said.index("a out") < said.index("b in")
    assert said.index("c in") < said.index("a out")
    assert not turns._inside
    turns.close()


async def test_another_process_is_waited_for(tmp_path: Path, holder: "subprocess.Popen[bytes]") -> None:
    turns = Turns(tmp_path)
    async with turns.of("another"):  # is not held
        pass
    has_begun = asyncio.Event()

    async def go() -> None:
        has_begun.set()
        async with turns.of("one"):
            return

    waiting = asyncio.ensure_future(go())
    await has_begun.wait()
    assert not waiting.done()
    holder.kill()  # the kernel gives its turn back
    await asyncio.wait_for(waiting, 20)
    turns.close()


async def test_nobody_waits_for_ever(tmp_path: Path, holder: "subprocess.Popen[bytes]") -> None:
    turns = Turns(tmp_path, patience_s=0.0)
    with pytest.raises(SpoolError, match="does not give its turn back"):
        async with turns.of("one"):
            raise AssertionError("both inside")
    assert not turns._inside
    turns.close()


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SpoolError, match=FILE):
        Turns(tmp_path / "none")
