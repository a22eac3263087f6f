"""The relay on sockets that are systemd's: it is restarted under load, and nobody is refused or forgotten."""

import os
import re
import signal
import smtplib
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest

from tests.fakes.machine import need
from tests.fakes.prepared import SENDER, Prepared, message, wait_until
from tests.fakes.running import RunningRelay
from tests.fakes.socket_unit import listening
from tests.scenarios.conftest import StartRelay
from tests.scenarios.load import TO
from tests.scenarios.receiver import Receiver

HOST = "127.0.0.1"


class Visitors:
    """Clients that come again and again, each time with a connection of its own and one message.

    ``troubles`` holds what must not happen: a connection that is refused, or ends without a word.
    """

    def __init__(self, relay: RunningRelay) -> None:
        self.promised: list[str] = []
        self.told: Counter[bytes] = Counter()  # the first line's code
        self.troubles: list[str] = []
        self._relay, self._tls = relay, relay.tls()
        self._is_over = threading.Event()
        kinds = [False, False, True]
        self._threads = [
            threading.Thread(target=self._come, args=(n, is_tls), daemon=True)
            for n, is_tls in enumerate(kinds)
        ]

    def __enter__(self) -> "Visitors":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()

    def wait_for(self, count: int) -> None:
        """Until so many more have been promised."""
        enough = len(self.promised) + count
        wait_until(lambda: len(self.promised) >= enough, f"{count} more are accepted", 60)

    def _come(self, client: int, is_tls: bool) -> None:
        port = self._relay.wrapper if is_tls else self._relay.trusted
        number = 0
        while not self._is_over.wait(0.01):
            number += 1
            try:
                plain = socket.create_connection((HOST, port), 60)
            except OSError as error:
                self.troubles.append(f"no connection: {error}")
                continue
            with plain:
                try:
                    first = (
                        self._greeting_in_tls(plain) if is_tls else self._visit(plain, f"{client}-{number}")
                    )
                except OSError as error:
                    self.troubles.append(f"no greeting: {error!r}")
                    continue
                if first not in (b"220", b"421"):
                    self.troubles.append(f"no greeting: {first!r}")
                self.told[first] += 1

    def _greeting_in_tls(self, plain: socket.socket) -> bytes:
        with (
            self._tls.wrap_socket(plain, server_hostname="localhost") as stream,
            stream.makefile("rb") as lines,
        ):
            return lines.readline()[:3]

    def _visit(self, plain: socket.socket, subject: str) -> bytes:
        """The code of the greeting; what comes behind it may be cut short."""
        dialogue = smtplib.SMTP()
        with plain.makefile("rb") as lines:
            dialogue.sock, dialogue.file = plain, lines
            first = lines.readline()[:3]
            with suppress(OSError, smtplib.SMTPException):  # told 421 meanwhile
                dialogue.ehlo()
                dialogue.mail(SENDER)
                dialogue.rcpt(TO)
                if first == b"220" and dialogue.data(message(subject))[0] == 250:
                    self.promised.append(subject)
            return first


@pytest.fixture
def relay(
    start_relay: StartRelay, receiver: Receiver, tmp_path, prepared: Prepared
) -> Iterator[RunningRelay]:
    with ExitStack() as stack:
        one = RunningRelay(tmp_path / "activated", prepared, next_hop=receiver.port)
        ports = (one.trusted, one.wrapper, one.metrics, one.starttls)
        one.handed = [stack.enter_context(listening((HOST, port))) for port in ports]
        with one:
            yield one
            if one.process is not None and one.process.poll() is None:
                one.stop()
        assert "Traceback" not in one.log()


def test_nobody_is_refused(relay: RunningRelay, receiver: Receiver) -> None:
    with Visitors(relay) as visitors:
        visitors.wait_for(60)
        relay.signal(signal.SIGTERM)
        assert relay.process is not None
        assert relay.process.wait(45) == 0, relay.log()
        relay.start()
        visitors.wait_for(60)
        assert relay.ask("reload") == []
        visitors.wait_for(20)
        assert visitors.troubles == []
        # A worker that dies takes those with it whom it had accepted; nobody is refused.
        os.kill(relay.worker_pids()[0], signal.SIGKILL)
        visitors.wait_for(40)
        wait_until(lambda: len(relay.worker_pids()) == 2 and relay.is_ready(), "two workers again")
        visitors.wait_for(20)
        wait_until(
            lambda: all(one["accepted"] for one in relay.ask("status")["readings"].values()), "both accept"
        )
    assert [one for one in visitors.troubles if "no greeting" not in one] == []
    assert visitors.told[b"220"] > 150
    missing = lambda: set(visitors.promised) - set(receiver.subjects())  # noqa: E731
    wait_until(lambda: not missing(), "everything promised has arrived")
    assert relay.http("/healthz")[0] == 200  # that socket too is systemd's
    bound = re.findall(r"(\S+) has no socket of systemd's", relay.log())
    assert set(bound) == {f"{HOST}:{port.number}" for port in (relay.ports.proxied, relay.ports.far_proxied)}


def test_the_real_program_starts_it_at_the_first_connection(
    tmp_path, prepared: Prepared, receiver: Receiver
) -> None:
    program = need("systemd-socket-activate", "systemd")
    relay = RunningRelay(tmp_path / "activated", prepared, next_hop=receiver.port, workers=1)
    relay.ports.free()  # it binds without SO_REUSEPORT
    addresses = [f"--listen={HOST}:{port}" for port in (relay.trusted, relay.starttls, relay.wrapper)]
    passed = ["--setenv=PYTHONPATH"] if "PYTHONPATH" in os.environ else []  # it clears the environment
    command = [program, *addresses, "--fdname=a:b:c", *passed, sys.executable, "-m", "relay", "run"]
    command.insert(1, f"--setenv=RELAY_CONFIG={relay.file}")
    with relay.log_file.open("ab") as log:
        relay.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=relay.folder
        )
    try:
        wait_until(lambda: relay.log().count("Listening on") == 3, "it listens")
        with smtplib.SMTP(HOST, relay.trusted, timeout=45) as client:  # waits for the relay to start
            assert client.sendmail(SENDER, [TO], message("first")) == {}
        receiver.wait_for("first")
        with relay.client() as client:
            assert client.sendmail(SENDER, [TO], message("second")) == {}
        assert re.findall(r"(\S+) has no socket of systemd's", relay.log()) == [
            f"{HOST}:{port}" for port in (relay.ports.proxied.number, relay.ports.far_proxied.number)
        ]
        relay.stop()
    finally:
        relay.__exit__()
