"""The real clamd, with a signature database of one line: it is up in less than a second.

    with Clamd(folder) as clamd:
        clamd.path, clamd.port                        # its unix socket, and its port on loopback

The EICAR test string is put together at run time, so that no scanner objects to this file.
"""

import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from tests.fakes.prepared import Port, wait_until

STREAM_MAX_LENGTH = 3_000_000
SIGNATURE = "Local.Test.Eicar"


def eicar() -> bytes:
    """The string that stands for a virus."""
    return b"".join([rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$EIC", b"AR-STANDARD-ANTI", b"VIRUS-TEST-FILE!$H+H*"])


def needs_clamd() -> str:
    """Where clamd is; skips the test if it is not installed."""
    found = shutil.which("clamd") or shutil.which("clamd", path="/usr/sbin:/usr/local/sbin")
    if found is None:
        pytest.skip("clamd is not installed (Debian: clamav-daemon)")
    return found


class Clamd:
    """See above."""

    def __init__(self, folder: Path) -> None:
        self._program = needs_clamd()
        self._folder = folder
        self.path = folder / "clamd.ctl"
        self._port = Port()
        self.port = self._port.number
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Clamd":
        database = self._folder / "database"
        database.mkdir(parents=True, exist_ok=True)
        (database / "local.ndb").write_text(f"{SIGNATURE}:0:*:{eicar().hex()}\n")
        self._port.free()  # clamd sets no SO_REUSEPORT
        (self._folder / "clamd.conf").write_text(
            f"Foreground yes\nDatabaseDirectory {database}\nLocalSocket {self.path}\n"
            f"TCPAddr 127.0.0.1\nTCPSocket {self.port}\nStreamMaxLength {STREAM_MAX_LENGTH}\n"
            f"LogFile {self._folder / 'clamd.log'}\nFixStaleSocket yes\n"
        )
        self.start()
        return self

    def start(self) -> None:
        """Start it, or start it again."""
        with (self._folder / "clamd.out").open("ab") as out:
            self.process = subprocess.Popen(
                [self._program, "--config-file", str(self._folder / "clamd.conf")], stdout=out, stderr=out
            )
        wait_until(self._is_ready, f"clamd answers:\n{(self._folder / 'clamd.out').read_text()}")

    def _is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self._folder / "clamd.out").read_text()
        try:
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(self.path))
                client.sendall(b"zPING\0")
                return client.recv(16) == b"PONG\0"
        except OSError:
            return False

    def stop(self) -> None:
        """End it, by its pid."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)

    def __exit__(self, *_: object) -> None:
        self.stop()
