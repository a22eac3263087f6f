"""The examination of the host: all at once, bounded, and never in the way of itself."""

import asyncio
from pathlib import Path

import pytest

from relay.admin.finding import Finding, Level
from relay.daemon.checkup import host
from relay.daemon.settings.config import Config, parse


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "relay.toml").touch()
    text = (
        "[relay]\nhostname='m.example.com'\n[spool]\npath='gone'\n[directory]\nkey_file='no.key'\n"
        "[[route]]\ndomain='*'\nnext_hop='192.0.2.9:25'\ntls='none'\n"
        "[delivery]\nresolver='127.0.0.1:9'\nresolver_timeout='100ms'\n"
    )
    return parse(text, tmp_path / "relay.toml")


async def test_where_nothing_is_there_all_is_told_and_nothing_fails(config: Config) -> None:
    found = await host.examine(host.Question(config, None))
    said = {one.about: one for one in reversed(found)}  # the worst of each
    assert said["relay"].level is Level.PROBLEM
    assert said["config"].level is Level.PROBLEM  # there is no key file
    assert said["directory"].level is Level.PROBLEM
    assert said["resolver"].level is Level.PROBLEM
    assert said["ports"].level is Level.UNKNOWN
    assert said["disk speed"].level is Level.UNKNOWN
    assert "192.0.2.9:25" in said["reverse DNS"].seen  # a smarthost: our own address is nobody's affair
    assert not any("could not be looked at" in one.seen for one in found)
    assert all(one.publish for one in found if one.level is Level.PROBLEM)


def test_what_another_user_may_not_read_is_no_problem() -> None:
    denied = Finding(
        Level.PROBLEM, "config", "relay.toml: [tls] private_key: k: Permission denied", "mend it"
    )
    full = Finding(Level.PROBLEM, "disk", "the disk reserve is reached", "free space")
    seen = host.as_seen_by_strangers(denied)
    assert (seen.level, seen.publish) == (Level.UNKNOWN, "ask as root or the relay's user")
    assert host.as_seen_by_strangers(full) is full


async def test_a_look_that_hangs_is_unknown(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(_: host.Question) -> list[Finding]:
        await asyncio.Event().wait()
        return []

    monkeypatch.setattr(host, "_ports", hang)
    found = {one.about: one for one in await host.examine(host.Question(config, None), bound_s=1.0)}
    assert found["ports"].seen == "was not over within 1 s"


async def test_a_bug_in_one_look_leaves_the_others(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(_: host.Question) -> list[Finding]:
        raise ValueError("oops")

    monkeypatch.setattr(host, "_ports", fail)
    found = {one.about: one for one in await host.examine(host.Question(config, None))}
    assert found["ports"].seen == "could not be looked at: ValueError: oops"
    assert "relay" in found
