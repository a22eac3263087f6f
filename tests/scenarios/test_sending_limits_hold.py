"""An account sends no more than its limits, whatever connects how often and whatever dies meanwhile."""

import os
import signal
import smtplib
import threading
import time
from bisect import bisect_right
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

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
        wait_until(lambda: time.monotonic() > began + 9.0, "9 s are over", 20.0)
    workers = {reading["accepted"] > 0 for reading in relay.ask("status")["readings"].values()}
    assert workers == {True}, "both workers took part"
    replies = sorted(ended for _, ended in hammer.accepted)
    lasted_s = replies[-1] - replies[0]
    slowest_s = max(ended - began for began, ended in hammer.accepted)
    assert hammer.most_in(7.0) <= 50 * 7 + 50
    assert hammer.most_replies_in(7.0) <= 50 * (7 + slowest_s) + 50
    assert len(replies) >= 0.95 * 50 * lasted_s
    assert set(hammer.refused) == {(454, b"4.7.1 " + RATE_EXCEEDED)}


def test_one_a_second_is_exact(start_relay: StartRelay, receiver: Receiver) -> None:
    relay = start_relay(next_hop=receiver.port)
    limit(relay, rate=1.0)
    with Hammer(relay, clients=16, pause_s=0.01) as hammer:
        wait_until(lambda: len(hammer.accepted) >= 5, "five are accepted", 30.0)
    for window_s in (0.9, 1.9, 2.9, 3.9):
        assert hammer.most_in(window_s) <= 1 + window_s
    began, ended = zip(*sorted(hammer.accepted), strict=True)
    assert ended[-1] - began[0] < len(began) + 10.0


def test_a_message_to_many_is_paid_for_before_the_next(start_relay: StartRelay, receiver: Receiver) -> None:
    relay = start_relay(next_hop=receiver.port)
    limit(relay, rate=5.0)
    with Hammer(relay, clients=8, recipients=10, pause_s=0.01) as hammer:
        wait_until(lambda: len(hammer.accepted) >= 4, "four are accepted", 60.0)
    first, last = min(began for began, _ in hammer.accepted), max(ended for _, ended in hammer.accepted)
    # 5 tokens at first, so that the second message waits for 6 of them, each later one for 10
    assert last - first >= (len(hammer.accepted) - 2) * 2.0 + 1.2
    assert hammer.most_in(1.9) <= 2


def test_a_quota_is_never_passed_by_one_whatever_is_killed(
    start_relay: StartRelay, receiver: Receiver
) -> None:
    quota = 600
    relay = start_relay(next_hop=receiver.port)
    limit(relay, quota=quota)
    with Hammer(relay, clients=20, pause_s=0.05) as hammer:
        wait_until(lambda: len(hammer.accepted) >= 100, "a hundred are accepted")
        os.kill(relay.worker_pids()[0], signal.SIGKILL)
        wait_until(relay.is_ready, "the worker is replaced")
        wait_until(lambda: len(hammer.accepted) >= 250, "some more are accepted")
        relay.kill()  # all of it, with leases out and transactions under way
        relay.start()
        wait_until(lambda: len(hammer.accepted) >= 350, "some more are accepted")
        assert relay.process is not None
        os.kill(relay.process.pid, signal.SIGKILL)  # the supervisor alone: its workers end
        relay.process.wait(10)
        wait_until(lambda: restarted(relay), "it runs again", 60.0)
        wait_until(lambda: (454, b"4.7.1 " + QUOTA_EXCEEDED) in hammer.refused, "the quota is used up")
        wait_until(lambda: settled(hammer), "nothing is accepted any more")
    accepted = len(hammer.accepted)
    # What was lent when something died counts as sent: at most two slices of a sixteenth of what was left
    # for each worker, three times.
    assert quota - 3 * 4 * quota // 16 <= accepted <= quota
    wait_until(lambda: not relay.command("queue", "list").stdout, "all have left", 60.0)
    # Counted where they arrive: the line of the log that follows a 250 is lost with the process.
    arrived = {str(one.parsed["message-id"]) for one in receiver.received if one.subject == "hammered"}
    assert accepted <= len(arrived) <= quota, "nor was any accepted of which the client did not hear"
    assert relay.ask("usage", account=1, is_limited=True)["sent"] == quota


def restarted(relay: RunningRelay) -> bool:
    """The workers of a supervisor that was killed hold the spool until they have ended."""
    try:
        relay.start()
    except AssertionError:
        return False
    return True


def settled(hammer: Hammer) -> bool:
    before = len(hammer.accepted)
    asked = sum(hammer.refused.values())
    wait_until(lambda: sum(hammer.refused.values()) >= asked + 200, "two hundred more are refused")
    return len(hammer.accepted) == before


def test_all_of_a_quota_may_be_used(start_relay: StartRelay, receiver: Receiver) -> None:
    relay = start_relay(next_hop=receiver.port)
    limit(relay, quota=150)
    with Hammer(relay, clients=20, pause_s=0.02) as hammer:
        wait_until(lambda: len(hammer.accepted) >= 150, "all are accepted")
        wait_until(lambda: settled(hammer), "and no other")
    assert len(hammer.accepted) == 150
    shown = relay.command("account", "quota", ACCOUNT).stdout.decode()
    assert "sent last 24 hours: 150 (100%)" in shown
    wait_until(
        lambda: relay.log().count('event="notice sent"') == 2, "the contact hears at 80 % and at 100 %"
    )
    events = relay.command("events", "tail", "--json", "-n", "100000").stdout.decode()
    assert events.count("sending-quota") == 2
    relay.wait_for_scrape('relay_limits_refused_total{worker="0",limit="quota"} [1-9]')
    relay.wait_for_scrape(f'relay_account_sent_recipients{{account="{ACCOUNT}"}} 150.0')
    relay.wait_for_scrape(f'relay_account_left_recipients{{account="{ACCOUNT}"}} 0.0')
    relay.wait_for_scrape(f'relay_account_throttled_total{{outcome="refused",account="{ACCOUNT}"}} [1-9]')
    # A larger one is in force within a second; what is sent to the simulator never counted.
    limit(relay, quota=151)
    relay.send(message("the last"))
    with pytest.raises(AssertionError, match="Daily message quota exceeded"):
        relay.send(message("one too many"))


def test_with_room_enough_hardly_any_message_waits_for_the_ledger(
    start_relay: StartRelay, receiver: Receiver
) -> None:
    relay = start_relay(next_hop=receiver.port)
    limit(relay, rate=10_000.0, quota=10_000_000)
    with Hammer(relay, clients=8) as hammer:
        wait_until(lambda: len(hammer.accepted) >= 1000, "a thousand are accepted")
    assert hammer.refused == {}
    # About one in a hundred; more on a machine so busy that a lease ends before the next message.
    assert relay.count("limits_waited") < 0.25 * len(hammer.accepted)
    wait_until(lambda: relay.count("limits_leases") == 0, "what is left has gone back")
    sent = relay.ask("usage", account=1, is_limited=True)["sent"]
    assert sent == relay.count("accepted") - relay.log().count('event="notice sent"')


def test_smoothed_mail_leaves_when_it_was_said(start_relay: StartRelay, receiver: Receiver) -> None:
    relay = start_relay(next_hop=receiver.port)
    limit(relay, rate=1.0, over=OverQuota.SMOOTH)
    began = time.time()
    replies = [submit(relay, f"smoothed-{number}") for number in range(8)]
    assert all(code == 250 for code, _ in replies)
    notes = [text.partition(" delayed until ")[2] for _, text in replies]
    assert [bool(note) for note in notes] == [False] + [True] * 7
    assert notes == sorted(notes)
    waiting = relay.command("queue", "list").stdout.decode()
    assert "by the maximum sending rate of the account" in waiting
    wait_until(lambda: len(receiver.subjects()) == 8, "all have left", 30.0)
    assert 7.0 <= time.time() - began < 17.0  # a machine that is busy may take ten seconds for its own part
    assert receiver.subjects() == [f"smoothed-{number}" for number in range(8)]


def test_smoothed_mail_is_not_forgotten_when_all_is_killed(
    start_relay: StartRelay, receiver: Receiver
) -> None:
    relay = start_relay(next_hop=receiver.port)
    limit(relay, rate=1.0, over=OverQuota.SMOOTH)
    before = [submit(relay, f"before-{number}")[1] for number in range(6)]
    relay.kill()
    relay.start()
    after = submit(relay, "after")[1]
    assert after.partition(" until ")[2] > before[-1].partition(" until ")[2]
    wait_until(lambda: len(receiver.subjects()) == 7, "all have left", 20.0)


def test_held_mail_leaves_when_it_is_released(start_relay: StartRelay, receiver: Receiver) -> None:
    relay = start_relay(next_hop=receiver.port)
    limit(relay, quota=2, over=OverQuota.HOLD)
    replies = [submit(relay, f"held-{number}") for number in range(4)]
    assert ["held: the daily message quota of the account is reached" in text for _, text in replies] == [
        False,
        False,
        True,
        True,
    ]

    def left() -> int:
        return sum(subject.startswith("held-") for subject in receiver.subjects())

    wait_until(lambda: left() == 2, "the first two have left")
    listed = relay.command("queue", "list", "--state", "held").stdout.decode()
    assert listed.count("held: the daily message quota") == 2
    relay.command("queue", "release", "--all")
    wait_until(lambda: left() == 4, "the others have left")


def submit(relay: RunningRelay, subject: str) -> tuple[int, str]:
    """One message; the reply to its dot."""
    with smtplib.SMTP("127.0.0.1", relay.trusted, timeout=30) as client:
        client.ehlo()
        client.mail(SENDER)
        client.rcpt(TO)
        code, text = client.data(message(subject))
        return code, text.decode()
