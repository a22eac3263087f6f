"""What belongs into a backup."""

from pathlib import Path

import pytest

from relay.daemon.backup import contents
from relay.daemon.settings.config import Config, load

TOML = """
[tls]
certificate = "tls.crt"
private_key = "/tls/private.key"
[spool]
path = "spool"
[directory]
key_file = "relay.key"
[signing]
service_domain = "r.example"
[[signing.service_key]]
selector = "s"
file = "../keys/s.pem"
[delivery]
ca_file = "/etc/ssl/ca.pem"
[[route]]
domain = "a.example"
next_hop = "h:25"
tls = "required"
username = "u"
password_file = "sub/password"
[[route]]
domain = "b.example"
next_hop = "h:25"
tls = "required"
client_certificate = "client.crt"
client_key = "client.key"
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    folder = tmp_path / "etc"
    folder.mkdir()
    (folder / "relay.toml").write_text(TOML)
    (folder / "shaping.toml").write_text("")
    return load(folder / "relay.toml")


def test_what_the_configuration_names(config: Config, tmp_path: Path) -> None:
    found = {one.name.removeprefix("configuration/"): one.is_key for one in contents.configured_files(config)}
    outside = str((tmp_path / "keys/s.pem").resolve()).lstrip("/")
    assert found == {
        "relay.toml": False,
        "shaping.toml": False,
        "tls.crt": False,
        "elsewhere/tls/private.key": True,
        f"elsewhere/{outside}": True,
        "sub/password": True,
        "client.crt": False,
        "client.key": True,
    }
    assert contents.key_file(config) == ("directory/relay.key", config.directory.key_file, True)


def test_what_is_in_a_spool(config: Config) -> None:
    spool = config.spool.path
    shard = spool / "shard-000001"
    for name in (
        "lock",
        "turns.lock",
        "life.json",
        "sns.key",
        "sns.crt",
        "limits.db",
        "limits.db-wal",
        "positions.db",
        "notifications.db",
        "limits.db.schema-1.20270115T080000Z.bak",
        "mta-sts/example.org",
        "corrupt/limits.db-1",
        "before-20270115T080000Z/shard-000001/spool.db",
        "shard-000001/spool.db",
        "shard-000001/spool.db.schema-3.20270115T080000Z.bak",
        "shard-000001/lock",
        "shard-000001/large/id",
        "shard-000001/corrupt/1800000000/spool.db",
        "shard-000001/corrupt/id.eml",
    ):
        (spool / name).parent.mkdir(parents=True, exist_ok=True)
        (spool / name).touch()
    (spool / "link").symlink_to(shard)
    (spool / "shard-000002").mkdir()
    (spool / "shard-000002/corrupt").symlink_to("/etc")
    found = {one.name.removeprefix("spool/"): one.is_key for one in contents.spool_files(spool)}
    assert found == {
        "sns.key": True,
        "sns.crt": False,
        "mta-sts/example.org": False,
        "corrupt/limits.db-1": False,
        "shard-000001/corrupt/1800000000/spool.db": False,
        "shard-000001/corrupt/id.eml": False,
    }
    names = [one.file.name for one in contents.databases(spool)]
    assert names == ["notifications.db", "positions.db", "limits.db"]  # the ledger after all that it counts
