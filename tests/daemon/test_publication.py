"""All records of a domain, gathered."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from relay.base.errors import DirectoryError
from relay.daemon.settings.config import load
from relay.daemon.worker.publication import records_of
from relay.directory.records import OnMailFromFailure
from relay.directory.secrets import create_key_file
from relay.directory.store import Directory

CONFIG = """
[relay]
hostname = "relay.example"
[directory]
key_file = "relay.key"
[verification]
record_prefix = "_proof"
"""


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Directory]:
    create_key_file(tmp_path / "relay.key")
    directory = Directory(f"sqlite:///{tmp_path / 'd.db'}", tmp_path / "relay.key", "x")
    directory.migrate()
    directory.accounts.create("shop")
    yield directory
    directory.close()


def test_proof_dkim_and_mail_from_come_together(directory: Directory, tmp_path: Path) -> None:
    (tmp_path / "relay.toml").write_text(CONFIG)
    config = load(tmp_path / "relay.toml")
    directory.identities.add("shop", "example.org")
    proof, *rest = records_of(directory, config, "example.org", None)
    assert (proof.name, proof.type) == ("_proof.example.org", "TXT")
    assert rest
    assert all("._domainkey." in one.name for one in rest)
    directory.mail_froms.put("example.org", "bounce.example.org", OnMailFromFailure.USE_DEFAULT)
    records = records_of(directory, config, "example.org", "shop")
    assert [one.type for one in records if one.name == "bounce.example.org"] == ["MX", "TXT"]
    directory.identities.verify("example.org")
    assert proof not in records_of(directory, config, "example.org", None)


def test_an_address_has_none(directory: Directory, tmp_path: Path) -> None:
    (tmp_path / "relay.toml").write_text(CONFIG)
    directory.identities.add("shop", "a@example.org")
    with pytest.raises(DirectoryError, match=r"signed for by example\.org"):
        records_of(directory, load(tmp_path / "relay.toml"), "a@example.org", None)
