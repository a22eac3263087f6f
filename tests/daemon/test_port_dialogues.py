"""Our own client at peers that misbehave; at a relay that runs, see the scenario of the administrator."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from relay.daemon.checkup.port_dialogues import look, reach
from relay.daemon.settings.sections import ListenerSection
from tests.fakes.prepared import HOSTNAME, Port

LISTENER = ListenerSection(address="127.0.0.1:1", tls="starttls")


@contextmanager
def peer(*says: bytes) -> Iterator[int]:
    """A server that says these things, one for each line that it hears, and is silent then."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection, suppress(OSError):
                for one in says:
                    connection.sendall(one)
                    if not connection.recv(1000):
                        return
                connection.recv(1000)

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join(10)


def test_a_port_where_nobody_listens() -> None:
    port = Port()
    assert look(LISTENER, "127.0.0.1", port.number, HOSTNAME).fault == "Connection refused"
    assert reach("127.0.0.1", port.number, HOSTNAME).fault == "Connection refused"
    port.free()


def test_a_peer_that_is_silent() -> None:
    with peer() as port:
        assert look(LISTENER, "127.0.0.1", port, HOSTNAME, timeout_s=0.2).fault == "no answer in time"


def test_a_peer_that_refuses_and_one_that_breaks_off_in_tls() -> None:
    with peer(b"554 no\r\n") as port:
        assert look(LISTENER, "127.0.0.1", port, HOSTNAME).greeting == "554 no"
    with peer(b"220 hi\r\n", b"250-me\r\n250 STARTTLS\r\n", b"220 go\r\n", b"garbage\r\n") as port:
        seen = look(LISTENER, "127.0.0.1", port, HOSTNAME)
    assert seen.fault
    assert "STARTTLS" in seen.before


def test_a_receiver_is_reached() -> None:
    with peer(b"220 mx\r\n", b"250-mx\r\n250 STARTTLS\r\n", b"221 bye\r\n") as port:
        seen = reach("127.0.0.1", port, HOSTNAME)
    assert (seen.greeting, seen.has_starttls, seen.fault) == ("220 mx", True, "")
    with peer(b"554 not you\r\n", b"221 bye\r\n") as port:
        assert reach("127.0.0.1", port, HOSTNAME).greeting == "554 not you"


def test_who_is_trusted_from_here() -> None:
    far = ListenerSection(
        address="127.0.0.1:1", tls="none", auth="none", trusted_networks=["192.0.2.0/24"], account="x"
    )
    port = Port()
    assert not look(far, "127.0.0.1", port.number, HOSTNAME).is_trusting
    port.free()
