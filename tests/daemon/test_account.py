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
        "access": "production",
        "max_send_rate": 5.0,
        "max_24_hours": 10_000,
        "over_quota": "reject",
        "source": "",
        "suppress": "bounce,complaint",
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
    columns = (
        "NAME ID STATE REASON ACCESS MAX SEND RATE MAX 24 HOURS OVER QUOTA SOURCE SUPPRESS CONTACT CREATED"
    )
    assert head.split() == columns.split()
    assert first.index("active") == second.index("active") == head.index("STATE")
    assert [row["name"] for row in account.json("list")] == ["a-long-name-of-an-account", "shop"]
    assert "contact:       owner@example.org" in account("show", "shop")


def test_the_limits_in_force_are_shown_with_how_to_change_them(account: CommandLine) -> None:
    made = account._run(("create", "shop", "--access", "sandbox"), None)
    assert "access:        sandbox\nmax send rate: 1/s\nmax 24 hours:  200\n" in made.stdout
    assert made.stderr == 'Other limits: `relay account set shop --rate N --quota N`, or "unlimited".\n'
    wide = account("create", "blog", "--rate", "unlimited", "--quota", "unlimited", "--over-quota", "hold")
    assert "max send rate: unlimited\nmax 24 hours:  unlimited\nover quota:    hold\n" in wide
    assert "max 24 hours:  2,000,000\n" in account("create", "big", "--rate", "0.5", "--quota", "2000000")
    shown = account.json("show", "blog")
    assert (shown["max_send_rate"], shown["max_24_hours"]) == (-1, -1)


def test_what_is_set_is_set_and_the_rest_stays(account: CommandLine) -> None:
    before = account.json("create", "shop", "--access", "sandbox", "--contact", "owner@example.org")
    for words, changed in [
        (["--quota", "300"], {"max_24_hours": 300}),
        (["--access", "production"], {"access": "production", "max_send_rate": 5.0}),
        (["--over-quota", "smooth"], {"over_quota": "smooth"}),
        (["--rate", "unlimited"], {"max_send_rate": -1}),
        (["--contact", "other@example.org"], {"contact": "other@example.org"}),
        (["--contact", ""], {"contact": ""}),
    ]:
        after = account.json("set", "shop", *words)
        assert after == before | changed
        before = after
    assert account.json("list") == [before]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "say what to change"),
        (["--rate", "fast"], "'fast'"),
        (["--quota", "1.5"], "'1.5'"),
        (["--access", "beach"], "'sandbox'"),
        (["--over-quota", "bounce"], "'reject'"),
        (["--suppress", "anger"], "'anger'"),
    ],
)
def test_what_is_no_setting_is_a_usage_error(account: CommandLine, words: list[str], told: str) -> None:
    account("create", "shop")
    result = account._run(("set", "shop", *words), None)
    assert result.exit_code == 2
    assert told in result.stderr


def test_a_limit_of_nothing_is_refused(account: CommandLine) -> None:
    account("create", "shop")
    assert "`relay account pause`" in account.error("set", "shop", "--rate", "0")
    assert "`relay account pause`" in account.error("set", "shop", "--quota", "0")
    assert "`relay account pause`" in account.error("create", "blog", "--rate", "nan")


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


def test_the_source_that_mail_leaves_from(account: CommandLine) -> None:
    assert account.json("create", "shop", "--source", "one")["source"] == "one"
    assert account.json("set", "shop", "--source", "campaigns")["source"] == "campaigns"
    assert account.json("set", "shop", "--contact", "owner@example.org")["source"] == "campaigns"
    assert account.json("set", "shop", "--source", "")["source"] == ""


def test_what_it_suppresses_by(account: CommandLine) -> None:
    assert account.json("create", "shop")["suppress"] == "bounce,complaint"
    for word, kept in [
        ("none", "none"),
        ("Complaint", "complaint"),
        ("complaint, bounce", "bounce,complaint"),
    ]:
        assert account.json("set", "shop", "--suppress", word)["suppress"] == kept
        assert account.json("show", "shop")["suppress"] == kept
