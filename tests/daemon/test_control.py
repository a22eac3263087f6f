"""The control socket: who finds it, what it says where there is none."""

import asyncio
import os
import pwd
import stat
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from relay.base.errors import ConfigError
from relay.daemon.link import LinkError
from relay.daemon.supervisor import control


async def answer(what: str, fields: dict[str, Any], by: str) -> Any:
    if what == "who":
        return by
    if what == "fail":
        raise LinkError("that cannot be done")
    return {"what": what, **fields}


async def test_a_request_is_answered(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        await control.serve(tmp_path, answer, stack)
        assert await control.ask(tmp_path, "status", x=1) == {"what": "status", "x": 1}
        with pytest.raises(LinkError, match="that cannot be done"):
            await control.ask(tmp_path, "fail")
        several = await asyncio.gather(*[control.ask(tmp_path, "echo", n=n) for n in range(9)])
        assert [one["n"] for one in several] == list(range(9))


async def test_the_kernel_says_who_asks(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        await control.serve(tmp_path, answer, stack)
        assert await control.ask(tmp_path, "who") == pwd.getpwuid(os.geteuid()).pw_name


async def test_a_user_without_a_name_is_a_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.setattr(control.pwd, "getpwuid", nobody)
    async with AsyncExitStack() as stack:
        await control.serve(tmp_path, answer, stack)
        assert await control.ask(tmp_path, "who") == str(os.geteuid())


async def test_one_connection_serves_several_questions(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        await control.serve(tmp_path, answer, stack)
        async with control.asking(tmp_path) as ask:
            assert [(await ask("echo", 5.0, n=n))["n"] for n in range(3)] == [0, 1, 2]
            with pytest.raises(LinkError, match="that cannot be done"):
                await ask("fail")


async def test_a_large_message_passes(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        await control.serve(tmp_path, answer, stack)
        found = await control.ask(tmp_path, "submit", content="x" * 5_000_000)
        assert len(found["content"]) == 5_000_000


async def test_only_owner_and_group_may_ask(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        await control.serve(tmp_path, answer, stack)
        assert stat.S_IMODE((tmp_path / control.SOCKET).stat().st_mode) == 0o660
    assert not (tmp_path / control.SOCKET).exists()


async def test_a_socket_that_a_crash_left_is_replaced(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        await control.serve(tmp_path, answer, stack)
        os.link(tmp_path / control.SOCKET, tmp_path / "kept")
    os.rename(tmp_path / "kept", tmp_path / control.SOCKET)
    with pytest.raises(control.NotRunning, match=f"no relay runs on {tmp_path}; start it with `relay run`"):
        await control.ask(tmp_path, "status")
    async with AsyncExitStack() as stack:
        await control.serve(tmp_path, answer, stack)
        assert await control.ask(tmp_path, "status") == {"what": "status"}


async def test_without_a_relay_the_fix_is_named(tmp_path: Path) -> None:
    with pytest.raises(control.NotRunning, match="start it with `relay run`"):
        await control.ask(tmp_path / "nowhere", "status")


async def test_a_path_too_long_for_a_socket_is_a_matter_of_configuration(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    async with AsyncExitStack() as stack:
        with pytest.raises(ConfigError, match=r"\[spool\] path: .*100 characters"):
            await control.serve(folder, answer, stack)
