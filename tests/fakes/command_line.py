"""``relay`` as typed, without loading the program anew for each command.

A process that has loaded the command line forks a child for each command: its own process with its own
environment and standard files, which runs ``relay/__main__.py`` as ``python -m relay`` does. Loading takes
more than a second of CPU, the rest of most commands a tenth of that. There is one such process per test
process, started at the first command and ended with it; while coverage is measured, commands are plain
processes, since a forked child would not be counted.

    done = typed(["queue", "list"], {**os.environ, "RELAY_CONFIG": "..."})     # a CompletedProcess
"""

from __future__ import annotations

import atexit
import json
import os
import runpy
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).parents[2]
_TIMEOUT_S = 60.0
_MOST_BYTES = 1 << 20
_COVERAGE = ("COVERAGE_PROCESS_START", "COV_CORE_SOURCE")


def typed(
    words: Sequence[str], environment: Mapping[str, str], stdin: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    """Run ``relay`` with these words; TimeoutExpired after a minute."""
    line = [sys.executable, "-m", "relay", *words]
    if any(name in environment for name in _COVERAGE):
        return subprocess.run(line, input=stdin, capture_output=True, env=environment, timeout=_TIMEOUT_S)
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        given.write(stdin)
        given.seek(0)
        files = [given.fileno(), out.fileno(), err.fileno()]
        with _Loaded.lock:
            status = _Loaded.get().run(words, environment, files)
        if status is None:
            raise subprocess.TimeoutExpired(line, _TIMEOUT_S)
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(line, status, out.read(), err.read())


class _Loaded:
    """The process that has loaded the command line, as the test process sees it."""

    _one: _Loaded | None = None
    lock = threading.Lock()  # one command at a time

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.settimeout(_TIMEOUT_S)
        with theirs:
            words = [sys.executable, "-m", "tests.fakes.command_line", str(theirs.fileno())]
            self._process = subprocess.Popen(words, cwd=ROOT, pass_fds=[theirs.fileno()])
        atexit.register(self.end)

    @classmethod
    def get(cls) -> _Loaded:
        """The one of this process."""
        if cls._one is None:
            cls._one = cls()
        return cls._one

    def run(self, words: Sequence[str], environment: Mapping[str, str], files: Sequence[int]) -> int | None:
        """The exit status; None if the command took too long, and this process was ended."""
        order = json.dumps([list(words), dict(environment), os.getcwd()]).encode()
        socket.send_fds(self._socket, [order], files)
        try:
            return int(self._socket.recv(64))
        except TimeoutError:
            type(self)._one = None
            self.end()
            return None

    def end(self) -> None:
        """Close the line; the process ends, and the command that may still run is told to."""
        self._socket.close()
        self._process.terminate()
        self._process.wait()


def _serve(orders: socket.socket) -> None:
    """Fork for each order until the other side has gone."""
    from relay.daemon.commands.app import SUBCOMMANDS

    for load in SUBCOMMANDS.values():
        load()  # this is what takes long

    while True:
        order, files, _, _ = socket.recv_fds(orders, _MOST_BYTES, 3)
        if not order:
            return
        child = os.fork()
        if not child:
            orders.close()
            words, environment, folder = json.loads(order)
            _become(words, environment, folder, files)
        for number in files:
            os.close(number)
        _, status = os.waitpid(child, 0)
        orders.send(str(os.waitstatus_to_exitcode(status)).encode())


def _become(words: list[str], environment: dict[str, str], folder: str, files: list[int]) -> NoReturn:
    """In the child: run the command, and end."""
    status = 1
    try:
        for number, wanted in zip(files, (0, 1, 2), strict=True):
            os.dup2(number, wanted)
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(folder)
        sys.argv = ["relay", *words]
        runpy.run_module("relay", run_name="__main__", alter_sys=True)
        status = 0
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        else:
            status = end.code or 0
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(status)


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as line:
        _serve(line)
