"""An account sends no more than its limits, whatever connects how often and whatever dies meanwhile."""

import smtplib
import threading
import time
from bisect import bisect_right
from contextlib import suppress
from dataclasses import dataclass, field

from relay.directory.records import OverQuota
from tests.fakes.prepared import ACCOUNT, SENDER, message, wait_until
from tests.fakes.running import RunningRelay
from tests.scenarios.conftest import StartRelay
from tests.scenarios.receiver import Receiver

TO = "someone@receiver.example"
RATE_EXCEEDED = b"Throttling failure: Maximum sending rate exceeded"
QUOTA_EXCEEDED = b"Throttling failure: Daily message quota exceeded"


@dataclass
class Hammer:
    """``clients`` threads that send as fast as they can, each in a session that it opens anew when lost."""

    relay: RunningRelay
    clients: int
    recipients: int = 1
    pause_s: float = 0.0
    accepted: list[tuple[float, float]] = field(default_factory=list)  # the dot sent, the 250 read
    refused: dict[tuple[int, bytes], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=self._send, daemon=True) for _ in range(self.clients)]

    def __enter__(self) -> "Hammer":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()

    def _send(self) -> None:
        content = message("hammered")
        while not self._is_over.is_set():
            with (
                suppress(OSError, smtplib.SMTPException),
                smtplib.SMTP("127.0.0.1", self.relay.trusted, timeout=20) as client,
            ):
                client.ehlo()
                while not self._is_over.is_set():
                    client.mail(SENDER)
                    for number in range(self.recipients):
                        client.rcpt(f"{number}.{TO}")
                    began = time.monotonic()
                    code, text = client.data(content)
                    if code == 250:
                        self.accepted.append((began, time.monotonic()))
                    else:
                        self.refused[code, text] = self.refused.get((code, text), 0) + 1
                        self._is_over.wait(self.pause_s)
            self._is_over.wait(0.02)

    def most_in(self, window_s: float) -> int:
        """The most messages that were taken within any stretch of time so long: those that began and were
        answered in it."""
        most = 0
        for start in sorted(began for began, _ in self.accepted):
            inside = sorted(ended for began, ended in self.accepted if began >= start)
            most = max(most, bisect_right(inside, start + window_s))
        return most

    def most_replies_in(self, window_s: float) -> int:
        """The most replies within any stretch of time so long."""
        replies = sorted(ended for _, ended in self.accepted)
        return max(bisect_right(replies, first + window_s) - n for n, first in enumerate(replies))


def limit(
    relay: RunningRelay, rate: float = -1.0, quota: int = -1, over: OverQuota = OverQuota.REJECT
) -> None:
    """Set the limits, and wait until every worker has them."""
    directory = relay.directory()
    try:
        directory.accounts.set(ACCOUNT, max_send_rate=rate, max_24_hours=quota, over_quota=over)
        relay.wait_for_directory(directory, 10.0)
    finally:
        directory.close()


def test_fifty_a_second_over_two_workers(start_relay: StartRelay, receiver: Receiver) -> None:
    relay = start_relay(next_hop=receiver.port)
    limit(relay, rate=50.0)
    began = time.monotonic()
    with Hammer(relay, clients=40, pause_s=0.01) as hammer:
        wait_until(lambda: time.monotonic() > began + 15.0, "15 s are over", 20.0)
    workers = {reading["accepted"] > 0 for reading in relay.ask("status")["readings"].values()}
    assert workers == {True}, "both workers took part"
    replies = sorted(ended for _, ended in hammer.accepted)
    lasted_s = replies[-1] - replies[0]
    slowest_s = max(ended - began for began, ended in hammer.accepted)
    print(len(replies), lasted_s, slowest_s, hammer.most_in(10), hammer.most_replies_in(10), hammer.refused)
    assert hammer.most_in(10.0) <= 50 * 10 + 50
    assert hammer.most_replies_in(10.0) <= 50 * (10 + slowest_s) + 50
    assert len(replies) >= 0.95 * 50 * lasted_s
    assert set(hammer.refused) == {(454, b"4.7.1 " + RATE_EXCEEDED)}
