"""Sockets that outlive the program that accepts from them, as those of a systemd socket unit do.

    with listening(("127.0.0.1", port)) as sock:
        subprocess.Popen([*handing_over([sock]), "program", ...], pass_fds=[sock.fileno()])

``systemd-socket-activate`` speaks the same protocol, and its sockets end with the program.
"""

import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

_BECOME = """
import os, sys
fds, names, program = [int(fd) for fd in sys.argv[1].split(",")], sys.argv[2], sys.argv[3:]
for place, fd in enumerate(fds):
    os.dup2(fd, 100 + place)
for place in range(len(fds)):
    os.dup2(100 + place, 3 + place, inheritable=True)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(fds)), "LISTEN_FDNAMES": names}
os.execv(program[0], program)
"""


def handing_over(sockets: Sequence[socket.socket], names: Sequence[str] = ()) -> list[str]:
    """The start of a command line that hands the sockets to the program behind it; empty for none."""
    if not sockets:
        return []
    fds = ",".join(str(one.fileno()) for one in sockets)
    return [sys.executable, "-c", _BECOME, fds, ":".join(names or ["unknown"] * len(sockets))]


@contextmanager
def listening(address: tuple[str, int]) -> Iterator[socket.socket]:
    """A socket as systemd would make it, on a port that is held for this test."""
    with socket.socket() as sock:
        for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
            sock.setsockopt(socket.SOL_SOCKET, option, 1)
        sock.bind(address)
        sock.listen(4096)
        yield sock
