"""Sockets from systemd: whose each one is, and how they come over."""

import os
import socket
import subprocess
import sys

import pytest

from relay.base.errors import ConfigError
from relay.daemon.activation import Given, Shares, Wanted, share_out, spread

V4, V6 = ("0.0.0.0", 587), ("::", 587)
TLS = ("0.0.0.0", 465)


def wanted(*addresses: tuple[str, int], owner: int = 0, name: str = "") -> list[Wanted]:
    return [Wanted("[[listener]] address", one, owner, name) for one in addresses]


@pytest.mark.parametrize(
    ("given", "asked", "shares"),
    [
        ([], wanted(V4), Shares([None], [])),
        ([Given(V4)], wanted(V4), Shares([[0]], [])),
        ([Given(V6), Given(V4)], wanted(V4, V6), Shares([[1], [0]], [])),
        ([Given(V4)], wanted(V4, V6), Shares([[0], None], [])),
        ([Given(V4), Given(TLS)], wanted(V4), Shares([[0]], [1])),
        # several sockets on one address, with ReusePort=yes
        ([Given(V4), Given(V4)], wanted(V4), Shares([[0, 1]], [])),
        # one address written in two ways
        ([Given(("2001:db8::1", 25))], wanted(("2001:db8:0:0::1", 25)), Shares([[0]], [])),
        # a socket that takes both families is that of both addresses of one listener
        ([Given(V6, is_dual=True)], wanted(V4, V6), Shares([[0], [0]], [])),
        ([Given(V6, is_dual=True)], wanted(V4), Shares([[0]], [])),
        ([Given(V6)], wanted(V4), Shares([None], [0])),
        ([Given(V6, is_dual=True)], wanted(("127.0.0.1", 587)), Shares([None], [0])),
        # a wildcard is not an address, and port 0 is none
        ([Given(V4)], wanted(("127.0.0.1", 587)), Shares([None], [0])),
        ([Given(("127.0.0.1", 0))], wanted(("127.0.0.1", 0)), Shares([None], [0])),
        # names: only where no address says it, and for all addresses of the listener
        ([Given(("10.0.0.1", 5870), "mail")], wanted(V4, V6, name="mail"), Shares([[0], [0]], [])),
        ([Given(("10.0.0.1", 5870), "other")], wanted(V4, name="mail"), Shares([None], [0])),
        ([Given(("10.0.0.1", 5870), "")], wanted(V4, name=""), Shares([None], [0])),
        ([Given(V4, "mail"), Given(TLS, "mail")], wanted(V4, name="mail"), Shares([[0, 1]], [])),
        (
            [Given(V4, "mail"), Given(TLS, "mail")],
            [*wanted(V4, name="mail"), *wanted(TLS, owner=1)],
            Shares([[0], [1]], []),
        ),
    ],
)
def test_whose_each_socket_is(given: list[Given], asked: list[Wanted], shares: Shares) -> None:
    assert share_out(given, asked) == shares


def test_a_socket_of_two_listeners_is_refused() -> None:
    asked = [*wanted(V4), *wanted(V6, owner=1)]
    with pytest.raises(ConfigError, match=r"\[::\]:587 takes IPv4 clients too.*BindIPv6Only=ipv6-only"):
        share_out([Given(V6, is_dual=True)], asked)


@pytest.mark.parametrize(
    ("sockets", "count", "per_worker"),
    [
        ("", 2, [[], []]),
        ("a", 3, [["a"], ["a"], ["a"]]),
        ("ab", 2, [["a"], ["b"]]),
        ("abc", 2, [["a", "c"], ["b"]]),
        ("ab", 3, [["a"], ["b"], ["a"]]),
    ],
)
def test_every_worker_has_a_socket_and_every_socket_a_worker(
    sockets: str, count: int, per_worker: list[list[str]]
) -> None:
    assert spread(sockets, count) == per_worker


TAKE = """
import os, sys
from relay.daemon.activation import inherited
os.environ["LISTEN_PID"] = os.environ["LISTEN_PID"] or str(os.getpid())
found, useless = inherited()
assert not [name for name in os.environ if name.startswith("LISTEN_")]
for given, sock in found:
    assert not sock.get_inheritable() and not sock.getblocking()
    print(given)
print(useless)
"""


def taken(*files: socket.socket, pid: str = "", count: str = "", names: str = "") -> list[str]:
    """What a process finds that gets these as its descriptors from 3 on."""
    variables = {"LISTEN_PID": pid, "LISTEN_FDS": count or str(len(files)), "LISTEN_FDNAMES": names}
    moves = "".join(f"os.dup2({one.fileno()}, {100 + n}); " for n, one in enumerate(files))
    moves += "".join(f"os.dup2({100 + n}, {3 + n}, inheritable=True); " for n in range(len(files)))
    start = f"import os, sys; {moves}os.execv(sys.executable, [sys.executable, '-c', sys.argv[1]])"
    ended = subprocess.run(
        [sys.executable, "-c", start, TAKE],
        env=os.environ | variables,
        pass_fds=[one.fileno() for one in files],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 0 or "ConfigError" in ended.stderr, ended.stderr
    return ended.stdout.splitlines() or ended.stderr.splitlines()[-1:]


def test_they_are_taken_as_they_are_bound() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as two,
    ):
        found = taken(one, two, names="mail:unknown")
        assert found == [
            str(Given(one.getsockname(), "mail")),
            str(Given(two.getsockname(), "unknown")),
            "[]",
        ]
        assert taken(one) == [str(Given(one.getsockname(), "")), "[]"]


def test_those_of_another_process_are_not_ours() -> None:
    with socket.create_server(("127.0.0.1", 0)) as one:
        assert taken(one, pid="1") == ["[]"]


def test_what_is_no_listening_socket_is_told() -> None:
    with socket.socket() as idle, socket.socket(socket.AF_UNIX) as local:
        idle.bind(("127.0.0.1", 0))
        (line,) = taken(idle, local, names="a:b")
        assert "descriptor 3 (a) is no listening TCP socket" in line
        assert "descriptor 4 (b) is no listening TCP socket" in line
    assert "is not a number" in taken(count="many")[0]


def test_ipv6_tells_whether_it_takes_both() -> None:
    if not socket.has_dualstack_ipv6():
        pytest.skip("no IPv6 on this machine")
    with (
        socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as both,
        socket.create_server(("::1", 0), family=socket.AF_INET6) as one,
    ):
        found = taken(both, one)
        assert ["is_dual=True" in line for line in found] == [True, False, False]
