"""Bounces over a real relay: what counts, what does not, and the account that is paused for it.

The receiver that refuses is Postfix's smtp-sink; mail to the simulator and to the account's own domain is
refused too, and is in no rate. The notifier is killed in between: nothing is counted twice or lost.
"""

import json
import os
import signal
import smtplib
from collections.abc import Iterator
from typing import Any

import pytest

from relay.admin import sending
from relay.base.counts import Counts
from relay.spool.statistics_views import reading
from relay.verdict.reputation import Thresholds
from tests.fakes.prepared import ACCOUNT, DOMAIN, HOSTNAME, SENDER, message, wait_until
from tests.fakes.running import RunningRelay
from tests.scenarios.conftest import StartRelay
from tests.scenarios.programs import SmtpSink
from tests.scenarios.receiver import Receiver

SETTINGS = """
[reputation]
bounce_warn = 0.2
bounce_pause = 0.5
minimum_volume = 10
pause = true
"""


@pytest.fixture
def refusing() -> Iterator[SmtpSink]:
    with SmtpSink("-f", "RCPT", "-B", "550 5.1.1 User unknown") as sink:
        yield sink


def send(relay: RunningRelay, *recipients: str) -> None:
    with relay.client() as client:
        assert client.sendmail(SENDER, recipients, message("counted", to=recipients[0])) == {}


def stats(relay: RunningRelay) -> dict[str, Any]:
    shown = relay.command("stats", "--account", ACCOUNT, "--json")
    assert shown.returncode == 0, shown.stderr
    found: dict[str, Any] = json.loads(shown.stdout)
    return found


def look(relay: RunningRelay) -> tuple[Counts, dict[str, Any]]:
    """What is counted, and how the account stands; without the start of a program."""
    with reading(relay.spool) as views:
        return views.total(1, 0.0), sending.reputation(views, 1, Thresholds(minimum_volume=10))


def wait_for_counts(relay: RunningRelay, **wanted: int) -> dict[str, Any]:
    last = Counts()

    def are_there() -> bool:
        nonlocal last
        last, _ = look(relay)
        return {name: getattr(last, name) for name in wanted} == wanted

    wait_until(are_there, f"counted: {wanted}", 60.0)
    return look(relay)[1]


def notifier(relay: RunningRelay, other_than: int = 0) -> int:
    def pid() -> int:
        ready = relay.ask("status")["notifier"]["ready"]
        return next((one for one in relay.pids_below("notifier") if ready and one != other_than), 0)

    return int(wait_until(pid, "the notifier is ready"))


def test_refusals_pause_an_account_and_those_that_do_not_count_do_not(
    start_relay: StartRelay, receiver: Receiver, refusing: SmtpSink
) -> None:
    receiver.replies[f"RCPT nobody@{DOMAIN}"] = "550 5.1.1 User unknown"
    routes = "".join(
        f'[[route]]\ndomain = "{domain}"\nnext_hop = "127.0.0.1:{port}"\ntls = "none"\n'
        for domain, port in (("refusing.example", refusing.port), (DOMAIN, receiver.port))
    )
    relay = start_relay(next_hop=receiver.port, more=f"{SETTINGS}{routes}")
    first = notifier(relay)
    send(relay, *(f"bounce+{n}@simulator.{HOSTNAME}" for n in range(15)))
    send(relay, f"nobody@{DOMAIN}", "someone@receiver.example", "other@receiver.example")
    found = wait_for_counts(relay, sent=18, hard=16, delivered=2)
    assert found["mails"] == 2
    assert found["bounce_rate"] == {"rate": 0.0, "count": 0, "status": "Healthy"}

    os.kill(first, signal.SIGKILL)
    send(relay, *(f"u{n}@refusing.example" for n in range(8)))
    notifier(relay, other_than=first)
    wait_for_counts(relay, sent=26, hard=24, delivered=2)
    found = stats(relay)
    rate = found["reputation"]["bounce_rate"]
    assert found["quota"]["SentLast24Hours"] == 11.0  # the simulator's is not in it
    assert (rate["rate"], rate["count"], found["reputation"]["mails"]) == (0.8, 8, 10)
    assert {one["domain"]: one["bounced"] for one in found["domains"]} == {
        f"simulator.{HOSTNAME}": 15,
        "refusing.example": 8,
        DOMAIN: 1,
        "receiver.example": 0,
    }

    receiver.wait_for("Bounce rate 80%: your account's sending is paused", 60.0)
    wait_until(lambda: look(relay)[1]["status"] == "Sending paused", "it is put down")
    shown = json.loads(relay.command("account", "show", ACCOUNT, "--json").stdout)
    assert shown["state"] == "paused"
    assert "bounce rate 80% (8 of 10)" in shown["reason"]
    relay.wait_for_scrape(f'relay_account_bounce_rate{{account="{ACCOUNT}"}} 0.8')

    sent = 26

    def is_refused() -> bool:
        nonlocal sent
        with relay.client() as client:
            try:
                client.sendmail(SENDER, "someone@receiver.example", message("late"))
                sent += 1
            except smtplib.SMTPException as error:
                return "paused" in str(error) or "suspended" in str(error)
        return False

    wait_until(is_refused, "the account cannot send")
    wait_for_counts(relay, sent=sent)
    assert relay.command("account", "resume", ACCOUNT).returncode == 0
    wait_until(lambda: look(relay)[1]["mails"] == 0, "it is judged anew", 100.0)
    send(relay, "someone@receiver.example")
    found = wait_for_counts(relay, sent=sent + 1)
    assert (found["status"], found["mails"]) == ("Healthy", 1)
    assert receiver.subjects().count("Bounce rate 80%: your account's sending is paused") == 1
