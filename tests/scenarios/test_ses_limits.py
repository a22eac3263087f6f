"""Sending limits as users of SES know them: what counts, what is exceeded, and what becomes of the message.

Each row is an account of its own and its messages one after the other, each in a session of its own over TLS,
so that both workers have their part; with the exact reply to each dot. ``{when}`` stands for a time.
"""

import re
import time
from collections.abc import Sequence
from contextlib import closing

import pytest

from relay.directory.records import Access, OverQuota
from tests.fakes.prepared import HOSTNAME, wait_until
from tests.fakes.running import RunningRelay
from tests.scenarios.dialogue import OK, content, is_it, newcomer, say, sent

RATE = "454 4.7.1 Throttling failure: Maximum sending rate exceeded"
QUOTA = "454 4.7.1 Throttling failure: Daily message quota exceeded"
SIMULATOR = f"success@simulator.{HOSTNAME}"
SLOW = {"max_send_rate": 0.01}  # a token in hundred seconds: none comes back during a test


def to(count: int, *more: str) -> list[str]:
    return [f"someone{number}@receiver.example" for number in range(count)] + list(more)


Messages = Sequence[tuple[list[str], str]]
ROWS: dict[str, tuple[dict[str, object], Messages]] = {
    "no limits": ({}, [(to(50), OK)] * 3),
    "the quota counts recipients": ({"max_24_hours": 5}, [(to(3), OK), (to(2), OK), (to(1), QUOTA)]),
    "the quota is not passed by one": (
        {"max_24_hours": 5},
        [(to(3), OK), (to(3), QUOTA), (to(2), OK), (to(1), QUOTA)],
    ),
    "the simulator does not count against the quota": (
        {"max_24_hours": 2},
        [([SIMULATOR], OK)] * 4 + [(to(2, SIMULATOR), OK), (to(1), QUOTA), ([SIMULATOR], OK)],
    ),
    "the rate: a message passes while a token is left, and its debt is paid before the next": (
        SLOW,
        [(to(10), OK), (to(1), RATE), (to(1), RATE)],
    ),
    "the simulator counts against the rate": (SLOW, [([SIMULATOR], OK), (to(1), RATE), ([SIMULATOR], RATE)]),
    "short bursts pass": ({"max_send_rate": 5.0}, [(to(1), OK)] * 2),
    "smooth, the quota": (
        {"max_24_hours": 1, "over_quota": OverQuota.SMOOTH},
        [(to(1), OK), (to(1), QUOTA)],  # a day is longer than mail is kept
    ),
    "smooth, the rate": (
        {**SLOW, "over_quota": OverQuota.SMOOTH},
        [
            (to(1), OK),
            (to(1), f"{OK} delayed until {{when}} by the maximum sending rate of the account"),
        ],
    ),
    "hold, the quota": (
        {"max_24_hours": 1, "over_quota": OverQuota.HOLD},
        [(to(1), OK), (to(1), f"{OK} held: the daily message quota of the account is reached")],
    ),
    "hold, the rate": (
        {**SLOW, "over_quota": OverQuota.HOLD},
        [(to(1), OK), (to(1), f"{OK} held: the maximum sending rate of the account is reached")],
    ),
}


@pytest.mark.parametrize("row", ROWS)
def test_what_the_limits_make_of_it(shared_relay: RunningRelay, row: str) -> None:
    limits, messages = ROWS[row]
    name = re.sub("[^a-z]+", "-", row)[:40].strip("-")
    login = make(shared_relay, name, **limits)
    for number, (recipients, expected) in enumerate(messages):
        heard = answer(shared_relay, login, name, recipients)
        heard = re.sub(r"until \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ ", "until {when} ", heard)
        assert is_it(heard, expected), f"message {number}: {heard!r}, not {expected!r}"


def make(relay: RunningRelay, name: str, **limits: object) -> tuple[str, str]:
    """An account known to every worker; its login."""
    directory = relay.directory()
    login = newcomer(directory, name, f"{name}.example", **limits)
    relay.wait_for_directory(directory)
    directory.close()
    return login


def answer(relay: RunningRelay, login: tuple[str, str], name: str, recipients: list[str]) -> str:
    """To the dot of a message."""
    heard = ""
    with closing(relay.client(*login)) as client:
        for words, _ in sent(f"a@{name}.example", content(f"a@{name}.example"), OK, recipients):
            heard = say(client, words)
    return heard


def test_the_quota_of_the_sandbox(shared_relay: RunningRelay) -> None:
    """Two hundred, over both workers; what one has in hand of the last is back in a fraction of a second."""
    login = make(shared_relay, "boxed", access=Access.SANDBOX, max_send_rate=-1, max_24_hours=None)
    own = [f"b{number}@boxed.example" for number in range(50)]
    for _ in range(4):
        wait_until(lambda: is_it(answer(shared_relay, login, "boxed", own), OK), OK, 2.0)
    assert answer(shared_relay, login, "boxed", own[:1]) == QUOTA


def test_the_debt_is_paid_in_time(shared_relay: RunningRelay) -> None:
    """At 5 a second ten recipients take two seconds: not less until the next message, and not much more."""
    login = make(shared_relay, "in-debt", max_send_rate=5.0)
    assert is_it(answer(shared_relay, login, "in-debt", to(10)), OK)
    began = time.monotonic()
    refused = []
    wait_until(lambda: attempt(shared_relay, login, refused), "the debt is paid", 20.0)
    assert time.monotonic() - began > 1.0 - 0.1  # a burst of a second was to its credit
    assert set(refused) == {RATE}


def attempt(relay: RunningRelay, login: tuple[str, str], refused: list[str]) -> bool:
    heard = answer(relay, login, "in-debt", to(1))
    if is_it(heard, OK):
        return True
    refused.append(heard)
    return False
