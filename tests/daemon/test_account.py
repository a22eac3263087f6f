"""``relay account``, as the administrator types it."""

from pathlib import Path

import pytest

from relay.daemon.commands.account import app
from tests.daemon.commandline import CommandLine


@pytest.fixture
def account(tmp_path: Path):
    line = CommandLine(app, tmp_path)
    yield line
    line.directory.close()


def test_the_life_of_an_account(account: CommandLine) -> None:
    created = account.json("create", "shop", "--contact", "owner@example.org")
    assert (created["name"], created["id"], created["state"]) == ("shop", 1, "active")
    assert account("pause", "shop", "--reason", "too many bounces") == "shop is paused\n"
    assert account.json("show", "shop") | {"created": ""} == {
        "name": "shop",
        "id": 1,
        "state": "paused",
        "reason": "too many bounces",
        "contact": "owner@example.org",
        "created": "",
        "credentials": 0,
        "identities": 0,
    }
    assert account("resume", "shop") == "shop is active\n"
    assert account("delete", "shop", "--yes") == "shop is deleted\n"
    assert account.json("list") == []


def test_lists_are_columns_or_json(account: CommandLine) -> None:
    assert account("list") == ""
    for name in ("shop", "a-long-name-of-an-account"):
        account("create", name, "--contact", "owner@example.org")
    head, first, second = account("list").splitlines()
    assert head.split() == ["NAME", "ID", "STATE", "REASON", "CONTACT", "CREATED"]
    assert first.index("active") == second.index("active") == head.index("STATE")
    assert [row["name"] for row in account.json("list")] == ["a-long-name-of-an-account", "shop"]
    assert "contact:     owner@example.org" in account("show", "shop")


def test_deleting_asks_first(account: CommandLine) -> None:
    account("create", "shop")
    account.error("delete", "blog")
    assert account._run(("delete", "shop"), "n\n").exit_code == 1
    assert len(account.json("list")) == 1
    assert account("delete", "shop", answer="y\n").endswith("shop is deleted\n")
    assert account.json("list") == []


def test_errors_are_one_line_that_names_the_fix(account: CommandLine, tmp_path: Path) -> None:
    assert account.error("show", "blog") == (
        "relay: no account 'blog': see `relay account list`, or `relay account create blog`"
    )
    account.config.write_text("[directory]\nregoin = 'x'\n")
    assert "did you mean 'region'?" in account.error("list")
    account.config.write_text("[directory]\nurl = 'sqlite:///none.db'\n")
    assert "`relay init`" in account.error("list")
    account.config.unlink()
    assert "`relay init`" in account.error("list")
