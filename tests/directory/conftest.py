"""A directory on disk, its key file, and a PostgreSQL server where this machine can run one."""

import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from relay.directory.secrets import create_key_file
from relay.directory.store import Directory
from tests.fakes import made_before
from tests.fakes.clock import ManualClock

REAL = ("tests.directory.test_database", "tests.directory.test_keys")


@pytest.fixture(autouse=True)
def _made_before(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.module.__name__ not in REAL:
        made_before.use(monkeypatch)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    create_key_file(tmp_path / "relay.key")
    return tmp_path / "relay.key"


@pytest.fixture
def directory(tmp_path: Path, key_file: Path, clock: ManualClock) -> Iterator[Directory]:
    """An empty directory in a file."""
    directory = Directory(f"sqlite:///{tmp_path / 'directory.db'}", key_file, "us-east-1", clock)
    directory.migrate()
    yield directory
    directory.close()


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """A PostgreSQL server of our own behind a unix socket, as a user without rights."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not programs or importlib.util.find_spec("psycopg") is None:
        pytest.skip("needs the PostgreSQL server programs and psycopg")
    folder = Path(tempfile.mkdtemp(prefix="relay-pg-"))
    identity = {}
    if os.geteuid() == 0:  # the server refuses to run as root
        shutil.chown(folder, "nobody")
        identity = {"user": "nobody", "extra_groups": []}
    cluster = folder / "data"
    options = ["-D", cluster, "-A", "trust", "-U", "relay", "--no-sync", "--locale=C", "-E", "UTF8"]
    subprocess.run(
        [programs[-1] / "initdb", *options], check=True, cwd=folder, stdout=subprocess.DEVNULL, **identity
    )
    settings = ["-c", "listen_addresses=", "-c", "fsync=off"]
    server = subprocess.Popen(
        [programs[-1] / "postgres", "-D", cluster, "-k", folder, *settings],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
        **identity,
    )
    try:
        assert server.stderr is not None
        for line in server.stderr:
            if "ready to accept connections" in line:
                break
        else:
            pytest.fail("the PostgreSQL server did not start")
        yield f"postgresql://relay@/postgres?host={folder}"
    finally:
        server.terminate()
        server.communicate()
        shutil.rmtree(folder)
