"""The first configuration: works as it stands, overwrites nothing, keeps its secrets."""

import errno
import os
import pwd
import ssl
import stat
from pathlib import Path

import pytest

from relay.base.errors import ConfigError
from relay.daemon import first
from relay.daemon.settings.config import load
from relay.daemon.supervisor import files

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("first") / "etc"
    first.make(folder, first.Choices("mail.example.com"))
    return folder


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_it_can_be_used_as_it_stands(made: Path) -> None:
    settings = load(made / "relay.toml")
    files.check(settings)
    assert settings.relay.hostname == "mail.example.com"
    assert [port for one in settings.listener for _, port in one.address] == [587, 587, 465, 465]
    assert settings.spool.path == made / "spool"
    assert settings.directory.url == f"sqlite:///{made}/directory.db"


def test_secrets_are_for_their_owner(made: Path) -> None:
    for name in ("relay.key", "tls.key", "service.pem", "directory.db"):
        assert mode(made / name) == 0o600, name
    assert mode(made) == 0o750
    assert mode(made / "spool") == 0o710


def test_the_certificate_is_for_our_name_and_loopback(made: Path) -> None:
    found = ssl._ssl._test_decode_cert(str(made / "tls.crt"))  # type: ignore[attr-defined]
    assert found["subjectAltName"] == (
        ("DNS", "mail.example.com"),
        ("DNS", "localhost"),
        ("IP Address", "127.0.0.1"),
        ("IP Address", "0:0:0:0:0:0:0:1"),
    )
    context = ssl.create_default_context(cafile=str(made / "tls.crt"))
    assert context.cert_store_stats()["x509_ca"] == 1


def test_nothing_is_overwritten(made: Path) -> None:
    kept = {one.name: one.read_bytes() for one in made.iterdir() if one.is_file()}
    with pytest.raises(ConfigError, match=r"relay.toml exists; change it, or name another folder"):
        first.make(made, first.Choices("other.example.com"))
    (made / "relay.toml").unlink()
    first.make(made, first.Choices("mail.example.com"))
    assert {one.name: one.read_bytes() for one in made.iterdir() if one.is_file()} == kept


def test_what_changes_may_be_kept_elsewhere(made: Path, tmp_path: Path) -> None:
    etc = tmp_path / "etc"
    etc.mkdir()
    for name in ("tls.key", "tls.crt", "service.pem"):
        (etc / name).write_bytes((made / name).read_bytes())
    first.make(etc, first.Choices("m.example", state=tmp_path / "lib", spool=tmp_path / "spool"))
    settings = load(etc / "relay.toml")
    assert settings.spool.path == tmp_path / "spool"
    assert settings.directory.key_file == tmp_path / "lib" / "relay.key"
    assert settings.directory.url == f"sqlite:///{tmp_path}/lib/directory.db"
    assert sorted(one.name for one in etc.iterdir()) == ["relay.toml", "service.pem", "tls.crt", "tls.key"]


def test_a_machine_without_ipv6_listens_on_ipv4_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert first.all_addresses()[0] == "0.0.0.0"

    def no_such_family(*_: object) -> None:
        raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")

    monkeypatch.setattr(first.socket, "socket", no_such_family)
    assert first.all_addresses() == ("0.0.0.0",)


def test_a_user_who_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no user 'no-such-user'; make it: useradd --system"):
        first.make(tmp_path, first.Choices("m.example", user="no-such-user"))
    assert list(tmp_path.iterdir()) == []


@as_root
def test_what_the_relay_needs_belongs_to_its_user(tmp_path: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    first.make(tmp_path / "etc", first.Choices("m.example", state=tmp_path / "lib", user="nobody"))
    owners = {
        one.name: (one.stat().st_uid, one.stat().st_gid, mode(one))
        for folder in (tmp_path / "etc", tmp_path / "lib")
        for one in folder.iterdir()
    }
    uid, gid = nobody.pw_uid, nobody.pw_gid
    assert owners == {
        "relay.toml": (0, gid, 0o640),  # it may read its configuration, not write it
        "tls.crt": (0, gid, 0o644),
        "tls.key": (uid, gid, 0o600),
        "service.pem": (uid, gid, 0o600),
        "relay.key": (uid, gid, 0o600),
        "directory.db": (uid, gid, 0o600),
        "spool": (uid, gid, 0o710),
    }
    assert load(tmp_path / "etc" / "relay.toml").relay.user == "nobody"
