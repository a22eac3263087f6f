"""Clients that send until they are stopped, and the ledger of what was promised to them."""

import smtplib
import threading
from contextlib import suppress

from tests.fakes.prepared import SENDER, message, wait_until
from tests.fakes.running import RunningRelay
from tests.scenarios.receiver import Receiver

TO = "someone@receiver.example"


class Load:
    """``clients`` threads, each with a session that it opens again when it is lost.

    ``per_session`` above 0 opens a new session after so many messages: the kernel gives each session to a
    worker of its choice, and a few long ones may all be with one worker.

    ``promised`` holds the subject of every message that a 250 was seen for, ``ids`` their ids.
    """

    def __init__(self, relay: RunningRelay, clients: int = 4, per_session: int = 0) -> None:
        self._per_session = per_session
        self.promised: list[str] = []
        self.ids: list[str] = []
        self._relay = relay
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=self._send, args=(n,), daemon=True) for n in range(clients)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()

    def wait_for(self, count: int) -> None:
        """Until so many were promised."""
        wait_until(lambda: len(self.promised) >= count, f"{count} messages are accepted")

    def _send(self, client_number: int) -> None:
        number = 0
        while not self._is_over.is_set():
            with (
                suppress(OSError, smtplib.SMTPException),
                smtplib.SMTP("127.0.0.1", self._relay.trusted, timeout=20) as client,
            ):
                client.ehlo()
                left = self._per_session or -1
                while left and not self._is_over.is_set():
                    left -= 1
                    number += 1
                    subject = f"{client_number}-{number}"
                    client.mail(SENDER)
                    client.rcpt(TO)
                    code, reply = client.data(message(subject))
                    if code != 250:
                        break
                    self.promised.append(subject)
                    self.ids.append(reply.decode().rpartition(" ")[2])
            self._is_over.wait(0.02)  # a relay that is down refuses at once

    def check(self, receiver: Receiver, allowed_twice: int = 0) -> None:
        """Everything promised arrives; no more than ``allowed_twice`` of it twice."""
        promised = set(self.promised)

        def missing() -> set[str]:
            return promised - set(receiver.subjects())

        wait_until(lambda: not missing(), "everything promised has arrived")
        arrived = receiver.subjects()
        assert len(arrived) - len(set(arrived)) <= allowed_twice
