"""What stands between `relay run` and its first worker."""

import os
import pwd
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from relay.base.errors import ConfigError, StartError
from relay.daemon import first
from relay.daemon.settings.config import Config, RelaySection, load
from relay.daemon.supervisor.startup import drop_privileges, prepare

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
def settings(tmp_path: Path) -> Config:
    file = tmp_path / "relay.toml"
    first.secrets.create_key_file(tmp_path / "relay.key")
    file.write_text("[spool]\npath = 'var/spool'\n[directory]\nkey_file = 'relay.key'\n")
    return load(file)


def test_the_spool_is_made_for_its_owner(settings: Config) -> None:
    lock = prepare(settings)
    path = settings.spool.path
    assert stat.S_IMODE(path.stat().st_mode) == 0o710  # its group may pass to the control socket
    assert (path / "lock").read_text() == f"{os.getpid()}\n"
    assert not os.get_inheritable(lock)
    os.close(lock)


def test_one_relay_per_spool(settings: Config) -> None:
    lock = prepare(settings)
    with pytest.raises(
        StartError, match=rf"another relay \(pid {os.getpid()}\) runs on .*var/spool; stop it"
    ):
        prepare(settings)
    os.close(lock)
    os.close(prepare(settings))  # its predecessor has ended, however that was


def test_a_spool_that_cannot_be_made(settings: Config, tmp_path: Path) -> None:
    (tmp_path / "var").write_text("a file")
    with pytest.raises(ConfigError, match=r"\[spool\] path: .*: Not a directory"):
        prepare(settings)


def test_a_directory_that_is_damaged(settings: Config, tmp_path: Path) -> None:
    (tmp_path / "directory.db").write_text("nonsense" * 1000)
    with pytest.raises(ConfigError, match=r"\[directory\] url: the directory .* cannot be used"):
        prepare(settings)
    (tmp_path / "directory.db").unlink()
    os.close(prepare(settings))  # the lock was given back


def test_a_server_that_is_not_up_yet_is_no_fault_of_the_configuration(settings: Config) -> None:
    url = "postgresql://relay@127.0.0.1:1/relay"
    directory = settings.directory.model_copy(update={"url": url})
    with pytest.raises(StartError, match=r"\[directory\] url"):
        prepare(settings.model_copy(update={"directory": directory}))


def test_a_url_that_is_none(settings: Config) -> None:
    directory = settings.directory.model_copy(update={"url": "nonsense"})
    with pytest.raises(ConfigError, match=r"\[directory\] url"):
        prepare(settings.model_copy(update={"directory": directory}))


@pytest.mark.parametrize(
    ("section", "said"),
    [
        (RelaySection(user="no-such-user"), "no-such-user"),
        (RelaySection(user="root", group="no-such-group"), "no-such-group"),
    ],
)
def test_no_such_user(section: RelaySection, said: str) -> None:
    with pytest.raises(ConfigError, match=rf"\[relay\] user or group: .*{said}.*; make it or name another"):
        drop_privileges(section)


def test_without_a_user_nothing_changes() -> None:
    before = (os.geteuid(), os.getegid(), os.getgroups())
    drop_privileges(RelaySection())
    drop_privileges(RelaySection(user=pwd.getpwuid(os.geteuid()).pw_name))
    assert (os.geteuid(), os.getegid(), os.getgroups()) == before


# In a process of its own, since there is no way back.
_DROPPED = """
import os, sys
from pathlib import Path
from relay.base.errors import ConfigError
from relay.daemon.settings.config import RelaySection, load
from relay.daemon.supervisor.startup import drop_privileges, prepare
sys.executable = "/bin/true"  # ours may lie where nobody may look
drop_privileges(RelaySection(user="nobody"))
print(os.getresuid(), os.getresgid(), os.getgroups())
try:
    drop_privileges(RelaySection(user="daemon"))
except ConfigError as error:
    print(error)
try:
    os.setuid(0)
except PermissionError:
    print("no way back")
try:
    prepare(load(Path(sys.argv[1])))
except ConfigError as error:
    print(error)
"""


@as_root
def test_root_is_dropped_for_good(settings: Config, tmp_path: Path) -> None:
    os.close(prepare(settings))
    ended = subprocess.run(
        [sys.executable, "-c", _DROPPED, str(settings.path)], capture_output=True, text=True, timeout=60
    )
    nobody = pwd.getpwnam("nobody")
    who, cannot, back, *rest = ended.stdout.splitlines()
    uid, gid = nobody.pw_uid, nobody.pw_gid
    assert who == f"{(uid, uid, uid)} {(gid, gid, gid)} {[gid]}", ended.stderr
    assert cannot == (f"[relay] user = 'daemon': user {uid} cannot become it; start as root or as daemon")
    assert back == "no way back"
    assert "Permission denied" in (rest[0] if rest else ended.stderr)


@as_root
def test_a_python_that_the_user_may_not_run(tmp_path: Path) -> None:
    """The supervisor runs, but no worker could be started from it."""
    (tmp_path / "python").write_text("")
    code = _DROPPED.replace("/bin/true", str(tmp_path / "python"))
    ended = subprocess.run([sys.executable, "-c", code, ""], capture_output=True, text=True, timeout=60)
    assert f"[relay] user = 'nobody' may not run {tmp_path}/python; install" in ended.stderr


@as_root
def test_what_root_left_behind_is_named(settings: Config, tmp_path: Path) -> None:
    """`relay run` once by hand as root, and the service cannot write its own spool: the fix is a chown."""
    os.close(prepare(settings))
    spool = settings.spool.path
    (spool / "shard-000001").mkdir(mode=0o700)
    nobody = pwd.getpwnam("nobody")
    for folder in (spool.parent, spool, tmp_path, spool / "lock", tmp_path / "relay.toml"):
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    for folder in [tmp_path, *tmp_path.parents[:-2]]:
        folder.chmod(folder.stat().st_mode | 0o711)
    ended = subprocess.run(
        [sys.executable, "-c", _DROPPED, str(settings.path)], capture_output=True, text=True, timeout=60
    )
    assert f"shard-000001 cannot be written by nobody; chown -R nobody {spool}" in ended.stdout, ended.stderr
