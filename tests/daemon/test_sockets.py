"""Listening sockets: shared between our workers, with nobody else."""

import socket

import pytest

from relay.base.errors import ConfigError, StartError
from relay.daemon.sockets import bind, listen

HERE = ("127.0.0.1", 0)


def close(sockets: list[socket.socket]) -> None:
    for one in sockets:
        one.close()


def test_one_free_port_for_all_workers() -> None:
    found = bind(HERE, 3, "x")
    listen(found)
    assert len({one.getsockname() for one in found}) == 1
    assert not any(one.get_inheritable() or one.getblocking() for one in found)
    with socket.create_connection(found[0].getsockname()):
        pass
    close(found)


def test_a_socket_that_does_not_listen_takes_no_connection() -> None:
    """What a second relay binds by mistake must not swallow the first one's clients."""
    found = bind(HERE, 1, "x")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(found[0].getsockname())
    close(found)


def test_ipv6() -> None:
    try:
        found = bind(("::1", 0), 2, "x")
    except StartError:
        pytest.skip("no IPv6 on this machine")
    assert found[0].family == socket.AF_INET6
    assert found[0].getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 1
    close(found)


def test_a_port_that_another_program_listens_on_is_not_shared() -> None:
    other = bind(HERE, 1, "x")  # with SO_REUSEPORT, as a second relay would have
    listen(other)
    port = other[0].getsockname()[1]
    with pytest.raises(
        StartError, match=rf"^\[\[listener\]\] address 127.0.0.1:{port}: .* in use; another program listens"
    ):
        bind(("127.0.0.1", port), 2, "[[listener]] address")
    close(other)
    close(bind(("127.0.0.1", port), 2, "x"))


@pytest.mark.parametrize(
    ("address", "kind", "said"),
    [
        (("192.0.2.1", 0), StartError, "x 192.0.2.1:0: .*no interface has this address"),
        (("no.such.host.invalid", 25), ConfigError, "x no.such.host.invalid:25: "),
        (("2001:db8::1", 0), (StartError, ConfigError), r"x \[2001:db8::1\]:0: "),
        (("a" * 64 + ".example", 25), ConfigError, "x a+"),
    ],
)
def test_errors_name_setting_and_address(address: tuple[str, int], kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said):
        bind(address, 1, "x")
