"""``relay identity notify``, as the administrator types it."""

from pathlib import Path

import pytest

from relay.daemon.commands.identity import app
from tests.daemon.commandline import CommandLine

NAME = "joe@example.org"
KINDS = ["bounce", "complaint", "delivery", "send", "reject", "delay"]


@pytest.fixture
def identity(tmp_path: Path):
    line = CommandLine(app, tmp_path)
    line.directory.accounts.create("shop")
    line.directory.identities.add("shop", NAME, is_verified=True)
    line.directory.topics.create("shop", "feedback", "https://hooks.example.org/relay")
    yield line
    line.directory.close()


def told(to: str, *, headers: bool = False, dropped: bool = False) -> dict[str, object]:
    return {"to": to, "headers": headers, "dropped": dropped}


def test_without_options_it_is_shown(identity: CommandLine) -> None:
    found = identity.json("notify", NAME)
    assert found == {"name": NAME, "account": "shop", "forwarding": True, **dict.fromkeys(KINDS)}
    lines = dict(line.split(": ", 1) for line in identity("notify", NAME).splitlines())
    assert [name for name in lines if name in KINDS] == KINDS
    assert {lines[kind].strip() for kind in KINDS} == {"none"}


def test_every_kind_and_the_headers(identity: CommandLine) -> None:
    options = [word for kind in KINDS for word in (f"--{kind}", "feedback")]
    found = identity.json("notify", NAME, *options, "--headers", "bounce, delay", "--forwarding", "off")
    assert found["forwarding"] is False
    assert {kind: found[kind] for kind in KINDS} == {
        kind: told("feedback", headers=kind in ("bounce", "delay")) for kind in KINDS
    }
    changed = identity("notify", NAME, "--bounce", "log", "--send", "none", "--headers", "none")
    assert "bounce:     log\n" in changed
    assert "complaint:  feedback\n" in changed
    assert "send:       none\n" in changed
    assert "forwarding: no\n" in changed


def test_it_is_listed_with_the_identity(identity: CommandLine) -> None:
    identity("notify", NAME, "--bounce", "feedback", "--headers", "bounce")
    [listed] = identity.json("list", "shop")
    assert listed["name"] == NAME
    assert listed["arn"].endswith(f":identity/{NAME}")
    assert listed["notifications"] == {
        "forwarding": True, **dict.fromkeys(KINDS), "bounce": told("feedback", headers=True)
    }  # fmt: skip
    assert "feedback" not in identity("list")  # for people there is no room


def test_a_new_identity_below_one_that_tells_is_said_to_tell_nothing(identity: CommandLine) -> None:
    identity.directory.identities.add("shop", "example.org", bits=1024)
    add = ("add", "shop", "ann@example.org", "--verified")
    assert "does not hold" not in identity(*add)  # the domain tells nothing either
    identity("notify", "example.org", "--bounce", "feedback")
    said = identity("add", "shop", "bob@mail.example.org", "--verified")
    assert "What example.org tells topics does not hold for bob@mail.example.org" in said
    assert "does not hold" not in identity("add", "shop", "eve@example.net", "--verified")


def test_a_dropped_topic_is_marked(identity: CommandLine) -> None:
    identity("notify", NAME, "--bounce", "feedback")
    identity.directory.topics.drop(1, "gone")
    assert identity.json("notify", NAME)["bounce"] == told("feedback", dropped=True)
    assert "feedback (dropped)" in identity("notify", NAME)


def test_errors_are_one_line_that_names_the_fix(identity: CommandLine) -> None:
    said = identity.error("notify", NAME, "--forwarding", "off")
    assert "add --bounce TOPIC --complaint TOPIC (or log), or --forwarding on" in said
    assert "add --bounce TOPIC (or log)" in identity.error("notify", NAME, "--headers", "bounce")
    said = identity.error("notify", NAME, "--headers", "bounces")
    assert said.endswith("give some of bounce, complaint, delivery, send, reject, delay, or none")
    assert "`relay topic create shop other --url ...`" in identity.error("notify", NAME, "--bounce", "other")
    assert "`relay identity list`" in identity.error("notify", "ann@example.org")
