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
    proof, rsa, ed25519, *reserve = added["records"]  # those that sign come first
    assert len(reserve) == 4
    assert (proof["name"], proof["type"], len(proof["value"])) == ("_relay.example.org", "TXT", 32)
    assert rsa["name"].endswith("._domainkey.example.org")
    assert rsa["value"].startswith("v=DKIM1; k=rsa; p=")
    assert ed25519["value"].startswith("v=DKIM1; k=ed25519; p=")
    assert identity.json("records", "example.org") == added["records"]
    (listed,) = identity.json("list", "shop")
    assert (listed["verified"], listed["state"]) == (False, "pending")
    assert identity("verify", "EXAMPLE.org") == "example.org is verified for shop\n"
    (listed,) = identity.json("list", "shop")
    assert (listed["verified"], listed["state"]) == (True, "verified")
    assert listed["arn"] == "arn:aws:ses:eu-west-1:000000000001:identity/example.org"
    assert "arn:" not in identity("list", "shop")  # too long for a column
    assert [one["name"] for one in identity.json("records", "example.org")] == [
        one["name"] for one in (rsa, ed25519, *reserve)
    ]
    assert identity("remove", "example.org") == "example.org is removed\n"
    assert identity.json("list") == []


def test_records_come_as_columns_or_as_a_zone(identity: CommandLine) -> None:
    printed = identity("add", "shop", "example.org")
    zone = identity("records", "example.org", "--bind")
    assert zone in printed
    assert "._domainkey.example.org. IN TXT ( " in zone
    assert "relay identity verify example.org --account shop" in printed
    head, proof, line, *reserve = identity("records", "example.org").splitlines()
    assert head.split() == ["NAME", "TYPE", "VALUE", "WHY"]
    assert proof.startswith("_relay.example.org ")
    assert "TXT   v=DKIM1; k=rsa; p=" in line
    heading, *lines = identity("records", "example.org", "--csv").splitlines()
    assert heading == "Record Name,Record Type,Record Value"
    assert [one.split(",")[0] for one in lines] == [line.split()[0] for line in (proof, line, *reserve)]


def test_a_verification_begins_anew(identity: CommandLine) -> None:
    printed = identity("add", "shop", "joe@example.org")
    assert "[verification] url is not set" in printed
    before = identity.directory.life.standing("joe@example.org").token
    assert "a new link is sent" in identity("verify", "--send", "joe@example.org")
    assert identity.directory.life.standing("joe@example.org").token != before
    assert "for 72 hours" in identity("add", "shop", "example.org")
    assert "its record is looked for" in identity("verify", "example.org", "--again")
    identity("verify", "example.org")
    assert "is verified: there is nothing to do" in identity.error("verify", "example.org", "--again")
    identity.config.write_text(identity.config.read_text() + "[verification]\nurl='https://relay.example'\n")
    assert "sends it a link" in identity("add", "shop", "jim@example.org")


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
    assert len(identity.json("records", "example.org", "--account", "blog")) == 4
