"""``relay credential``, as the administrator types it."""

from pathlib import Path

import pytest

from relay.daemon.commands.credential import app
from relay.directory.secrets import smtp_password
from tests.daemon.commandline import CommandLine


@pytest.fixture
def credential(tmp_path: Path):
    line = CommandLine(app, tmp_path)
    line.directory.accounts.create("shop")
    yield line
    line.directory.close()


def test_the_secret_is_printed_once(credential: CommandLine) -> None:
    new = credential.json("create", "shop")
    assert sorted(new) == ["access_key_id", "account", "secret", "smtp_password", "smtp_username"]
    assert new["smtp_username"] == new["access_key_id"]
    assert new["smtp_password"] == smtp_password(new["secret"], "eu-west-1")
    listed = credential("list") + credential("list", "shop", "--json")
    assert listed.count(new["access_key_id"]) == 2
    assert new["secret"] not in listed
    assert new["smtp_password"] not in listed


def test_people_read_it_line_by_line(credential: CommandLine) -> None:
    names = [line.partition(":")[0] for line in credential("create", "shop").splitlines()]
    assert names == ["account", "access key id", "secret", "smtp username", "smtp password"]


def test_a_third_is_refused_until_one_is_deleted(credential: CommandLine) -> None:
    first = credential.json("create", "shop")["access_key_id"]
    credential("create", "shop")
    assert "disable or delete one that is no longer used" in credential.error("create", "shop")
    assert credential("delete", first) == f"{first} is deleted\n"
    credential("create", "shop")
    assert "`relay credential list`" in credential.error("delete", first)


def test_state_and_last_use_are_listed(credential: CommandLine) -> None:
    one, other = (credential.json("create", "shop")["access_key_id"] for _ in range(2))
    credential.directory.credentials.mark_used({one: 1_700_000_000.0})
    assert credential("disable", other) == f"{other} is inactive\n"
    found = {row["access_key_id"]: row for row in credential.json("list")}
    assert (found[one]["state"], found[one]["last_used"]) == ("active", "2023-11-14T22:13:20Z")
    assert (found[other]["state"], found[other]["last_used"]) == ("inactive", None)
    head, *lines = credential("list", "shop").splitlines()
    assert head.split() == ["ACCESS", "KEY", "ID", "ACCOUNT", "STATE", "LAST", "USED", "CREATED"]
    assert "never" in next(line for line in lines if line.startswith(other))

    third = credential.json("create", "shop")["access_key_id"]
    assert "disable or delete one" in credential.error("enable", other)
    credential("disable", third)
    assert credential("enable", other) == f"{other} is active\n"
    assert "`relay credential list`" in credential.error("disable", "RLAYNOSUCHKEY")


def test_errors_are_one_line_that_names_the_fix(credential: CommandLine, tmp_path: Path) -> None:
    assert credential.json("list") == []
    assert "`relay account create blog`" in credential.error("create", "blog")
    (tmp_path / "relay.key").chmod(0o644)
    assert "chmod 600" in credential.error("create", "shop")
