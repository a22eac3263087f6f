"""``relay identity mail-from``, as the administrator types it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from relay.daemon.commands import identity as commands
from tests.daemon.commandline import CommandLine


@pytest.fixture
def identity(tmp_path: Path) -> Iterator[CommandLine]:
    line = CommandLine(commands.app, tmp_path)
    line.config.write_text(line.config.read_text() + '[relay]\nhostname = "Relay.example.net"\n')
    line.directory.accounts.create("shop")
    line.directory.identities.add("shop", "example.org", is_verified=True)
    yield line
    line.directory.close()


def test_it_is_set_shown_listed_and_cleared(identity: CommandLine) -> None:
    made = identity.json(
        "mail-from", "example.org", "set", "bounce.example.org", "--on-failure", "reject"
    )  # fmt: skip
    assert made == {
        "name": "example.org",
        "account": "shop",
        "mail_from": "bounce.example.org",
        "state": "pending",
        "on_failure": "reject",
        "records": [
            {"name": "bounce.example.org", "type": "MX", "value": "10 relay.example.net"},
            {"name": "bounce.example.org", "type": "TXT", "value": "v=spf1 a:relay.example.net ~all"},
        ],
    }
    assert identity.json("mail-from", "example.org") == made
    (listed,) = identity.json("list")
    assert listed["mail_from"] == "bounce.example.org (pending)"
    printed = identity("mail-from", "example.org", "show")
    assert "bounce.example.org. IN MX 10 relay.example.net." in printed
    cleared = identity.json("mail-from", "example.org", "clear")
    assert (cleared["mail_from"], cleared["state"], cleared["records"]) == ("", "", [])
    assert identity.json("list")[0]["mail_from"] == ""
    assert "relay identity mail-from example.org set bounce.example.org" in identity.error(
        "mail-from", "example.org"
    )


def test_a_domain_that_is_not_below_is_one_line(identity: CommandLine) -> None:
    said = identity.error("mail-from", "example.org", "set", "bounce.elsewhere.example")
    assert "give a subdomain of example.org" in said


@pytest.mark.parametrize("words", [["set"], ["clear", "bounce.example.org"]])
def test_a_wrong_call_is_told_apart(identity: CommandLine, words: list[str]) -> None:
    result = identity._run(("mail-from", "example.org", *words), None)
    assert result.exit_code == 2
    assert "with set" in result.stderr
