"""The supervisor with real workers: what systemd hears, what signals do, who survives whom."""

import os
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from relay.base.errors import RelayError
from tests.daemon.conftest import StartRelay
from tests.fakes.prepared import wait_until
from tests.fakes.running import RunningRelay


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """What systemd would be told by relays started in this test."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(30)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "200000")
        yield sock


def told(systemd: socket.socket, *, until: str) -> list[str]:
    """The states up to one that begins so, WATCHDOG apart."""
    found: list[str] = []
    while not found or not found[-1].startswith(until):
        found += [one for one in systemd.recv(4096).decode().split("\n") if one != "WATCHDOG=1"]
        if any(one.startswith(until) for one in found):
            break
    return found


def test_systemd_hears_of_start_reload_and_end(start_relay: StartRelay, systemd: socket.socket) -> None:
    relay = start_relay(workers=1)
    assert told(systemd, until="READY") == ["EXTEND_TIMEOUT_USEC=30000000", "READY=1", "STATUS=1 workers"]
    assert systemd.recv(99) == b"WATCHDOG=1"
    relay.signal(signal.SIGHUP)
    reloading, since, ready = told(systemd, until="READY")
    assert (reloading, ready) == ("RELOADING=1", "READY=1")
    assert re.fullmatch(r"MONOTONIC_USEC=\d{6,}", since)
    relay.stop()
    assert told(systemd, until="EXTEND") == ["STOPPING=1", "STATUS=drains", "EXTEND_TIMEOUT_USEC=30000000"]


def test_a_reload_that_fails_ends_in_ready_too(start_relay: StartRelay, systemd: socket.socket) -> None:
    relay = start_relay(workers=1)
    told(systemd, until="READY")
    relay.file.write_text("[spol]\n")
    relay.signal(signal.SIGHUP)
    assert told(systemd, until="READY")[-1] == "READY=1"
    assert "configuration not taken over; the old one is in force" in relay.log()
    assert "did you mean 'spool'?" in relay.log()


def test_the_watchdog_goes_on_while_a_worker_is_mended(
    start_relay: StartRelay, systemd: socket.socket
) -> None:
    """A worker that is stopped does not even hear SIGABRT: SIGKILL follows. While the supervisor itself is
    stopped, nobody feeds."""
    relay = start_relay(workers=1, heartbeat="2s")
    told(systemd, until="READY")
    (stopped,) = relay.worker_pids()
    os.kill(stopped, signal.SIGSTOP)

    def is_mended() -> bool:
        fed = b"WATCHDOG=1" in systemd.recv(4096)  # in time, again and again
        return fed and relay.log().count("worker ready") == 2

    wait_until(is_mended, "another worker takes its place", 60)
    assert relay.worker_pids() != [stopped]
    assert "worker hangs; killed" in relay.log()
    assert "watchdog is not fed" not in relay.log()
    relay.signal(signal.SIGSTOP)
    systemd.settimeout(1.5)  # 15 times the interval
    with suppress(TimeoutError):
        for _ in range(100):  # what was said before, and nothing more
            systemd.recv(4096)
        pytest.fail("a supervisor that is stopped goes on")
    relay.signal(signal.SIGCONT)
    systemd.settimeout(30)
    assert systemd.recv(4096) == b"WATCHDOG=1"
    relay.stop()


def test_workers_end_by_themselves_when_the_supervisor_is_killed(start_relay: StartRelay) -> None:
    relay = start_relay()
    below = relay.worker_pids()
    assert len(below) == 2
    assert relay.process is not None
    relay.process.kill()
    relay.process.wait(30)
    wait_until(lambda: not any(map(_is_alive, below)), "the workers are gone")
    assert relay.log().count("worker drains") == 2
    assert "Traceback" not in relay.log()
    relay.start()  # the socket that it left is replaced, the locks are free
    relay.stop()


def test_ctrl_c_drains(start_relay: StartRelay) -> None:
    relay = start_relay(workers=1)
    assert relay.process is not None
    os.killpg(relay.process.pid, signal.SIGINT)  # as a terminal does, to the whole group
    assert relay.process.wait(30) == 0
    assert "Traceback" not in relay.log()
    assert relay.log().count("worker drains") == 1


def test_clients_are_refused_at_once_while_it_drains(start_relay: StartRelay) -> None:
    relay = start_relay(workers=2)
    client = relay.client()
    client.docmd("MAIL FROM:<app@sender.example>")
    client.docmd("RCPT TO:<x@receiver.example>")
    assert client.docmd("DATA")[0] == 354  # a message on its way holds up the drain
    relay.signal(signal.SIGTERM)

    def is_refused() -> bool:
        try:
            socket.create_connection(("127.0.0.1", relay.starttls), 5).close()
        except ConnectionRefusedError:
            return True
        return False

    wait_until(is_refused, "nobody listens any more")
    assert relay.http("/healthz")[0] == 503
    client.send(b"From: app@sender.example\r\n\r\nhi\r\n.\r\n")
    assert client.getreply()[0] == 250
    client.close()
    assert relay.process is not None
    assert relay.process.wait(30) == 0


def test_a_worker_that_starts_after_a_reload_fits_its_sockets(start_relay: StartRelay) -> None:
    """A listener more in the file needs a restart; a worker that dies meanwhile must not stumble over it."""
    relay = start_relay(workers=1, limits="recipients = 50")
    text = relay.file.read_text().replace("recipients = 50", "recipients = 3")
    more = "tls='none'\nauth='none'\ntrusted_networks=['127.0.0.0/8']\naccount='tests'\n"
    relay.file.write_text(f"{text}\n[[listener]]\naddress='127.0.0.1:0'\n{more}")
    assert relay.ask("reload") == ["[[listener]]"]
    (old,) = relay.worker_pids()
    os.kill(old, signal.SIGKILL)
    wait_until(lambda: is_another(relay, old) and relay.is_ready(), "another worker is ready")
    with relay.client() as client:
        client.docmd("MAIL FROM:<app@sender.example>")
        replies = [client.docmd(f"RCPT TO:<x{n}@receiver.example>")[0] for n in range(4)]
        assert replies == [250, 250, 250, 452]  # and the new limit holds there
    relay.stop()


def test_one_worker_that_cannot_keeps_all_as_they_were(start_relay: StartRelay) -> None:
    relay = start_relay(workers=2, limits="recipients = 50")
    text = relay.file.read_text()
    wrong = text.replace("recipients = 50", "recipients = 3").replace('account = "tests"', 'account = "gone"')
    relay.file.write_text(wrong)
    with pytest.raises(RelayError, match="make it with `relay account create gone`"):
        relay.ask("reload")
    for _ in range(6):  # connections are spread over the workers
        with relay.client() as client:
            client.docmd("MAIL FROM:<app@sender.example>")
            assert [client.docmd(f"RCPT TO:<x{n}@receiver.example>")[0] for n in range(4)] == [250] * 4
    relay.stop()


def test_descriptors_do_not_grow_with_restarts(start_relay: StartRelay) -> None:
    relay = start_relay(workers=1)
    assert relay.process is not None
    folder = Path(f"/proc/{relay.process.pid}/fd")
    wait_until(lambda: relay.ask("status")["notifier"]["ready"], "the notifier is there, and its link")

    def restart() -> int:
        (old,) = wait_until(relay.worker_pids, "the worker is listed")  # not always, while others end
        os.kill(old, signal.SIGKILL)
        wait_until(lambda: is_another(relay, old) and relay.is_ready(), "another worker is ready")
        return len(list(folder.iterdir()))

    first = restart()  # one more perhaps: the connection of our own last question
    restart()
    restart()
    wait_until(lambda: len(list(folder.iterdir())) <= first, "no descriptor is left over", 10.0)
    relay.stop()


def is_another(relay: RunningRelay, old: int) -> bool:
    """Whether a worker took the place of another: until then the supervisor may not know that it is gone."""
    return len(relay.worker_pids()) == 1 and relay.worker_pids() != [old]


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
