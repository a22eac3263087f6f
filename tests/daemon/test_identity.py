"""``relay identity``, as the administrator types it."""

from pathlib import Path

import pytest

from relay.base.errors import DirectoryError
from relay.daemon.commands import identity as commands
from tests.daemon.commandline import CommandLine


@pytest.fixture
def identity(tmp_path: Path):
    line = CommandLine(commands.app, tmp_path)
    line.directory.accounts.create("shop")
    yield line
    line.directory.close()


def test_a_domain_is_added_published_and_verified(identity: CommandLine) -> None:
    added = identity.json("add", "shop", "Example.org", "--ed25519")
    assert [added[name] for name in ("name", "account", "kind", "verified", "dkim")] == [
        "example.org",
        "shop",
        "domain",
        False,
        True,
    ]
    rsa, ed25519 = added["records"]
    assert rsa["name"].endswith("._domainkey.example.org")
    assert rsa["value"].startswith("v=DKIM1; k=rsa; p=")
    assert ed25519["value"].startswith("v=DKIM1; k=ed25519; p=")
    assert identity.json("records", "example.org") == added["records"]
    assert identity("verify", "EXAMPLE.org") == "example.org is verified for shop\n"
    (listed,) = identity.json("list", "shop")
    assert listed["verified"]
    assert identity("remove", "example.org") == "example.org is removed\n"
    assert identity.json("list") == []


def test_records_come_as_columns_or_as_a_zone(identity: CommandLine) -> None:
    printed = identity("add", "shop", "example.org")
    zone = identity("records", "example.org", "--bind")
    assert zone in printed
    assert "._domainkey.example.org. IN TXT ( " in zone
    assert "relay identity verify example.org --account shop" in printed
    head, line = identity("records", "example.org").splitlines()
    assert head.split() == ["NAME", "TYPE", "VALUE"]
    assert "TXT   v=DKIM1; k=rsa; p=" in line


def test_an_address_needs_no_records(identity: CommandLine) -> None:
    assert identity.json("add", "shop", "Joe@example.org", "--verified")["records"] == []
    assert "signed for by example.org" in identity.error("records", "Joe@example.org")
    (listed,) = identity.json("list")
    assert (listed["kind"], listed["verified"]) == ("address", True)


def test_a_new_key_must_prove_itself(identity: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise DirectoryError("fails its own test")

    monkeypatch.setattr(commands, "prove", fail)
    assert identity.error("add", "shop", "example.org") == "relay: fails its own test"


def test_errors_are_one_line_that_names_the_fix(identity: CommandLine) -> None:
    assert "`relay account create blog`" in identity.error("add", "blog", "example.org")
    assert "give example.org" in identity.error("add", "shop", "nonsense")
    assert "use 2048" in identity.error("add", "shop", "example.org", "--rsa-bits", "512")
    assert "`relay identity add`" in identity.error("verify", "example.org")
    identity.directory.accounts.create("blog")
    for account in ("shop", "blog"):
        identity("add", account, "example.org")
    assert "--account" in identity.error("records", "example.org")
    assert len(identity.json("records", "example.org", "--account", "blog")) == 1
