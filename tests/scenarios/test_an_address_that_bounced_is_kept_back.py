"""An address that bounces for good is on the suppression list a moment later: mail to it is taken, bounced at
once, and not sent, until someone takes it off. Over TLS, with two workers and the notifier."""

import json
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from relay.base.events import EventKind
from relay.base.suppression import SERVICE, Listed, SuppressionReason
from relay.directory.store import Directory
from relay.spool.event_log import EventLog
from tests.fakes.prepared import ACCOUNT, HOSTNAME, SENDER, message, wait_until
from tests.fakes.running import RunningRelay
from tests.scenarios.receiver import Receiver

BOUNCE, COMPLAINT = SuppressionReason
DOMAIN = "receiver.example"


@pytest.fixture(scope="module")
def directory(shared_relay: RunningRelay) -> Iterator[Directory]:
    found = shared_relay.directory()
    yield found
    found.close()


def submit(relay: RunningRelay, *recipients: str) -> str:
    """One message, taken; its id."""
    with relay.client() as client:
        client.mail(SENDER)
        for one in recipients:
            code, said = client.rcpt(one)
            assert code == 250, said
        code, said = client.data(message("kept back", to=recipients[0]))
        assert code == 250, said
        return said.decode().split()[2]


def told(relay: RunningRelay, message_id: str, number: int) -> list[dict[str, Any]]:
    """The events of a message behind its Send event, once there are ``number``."""

    def found() -> list[dict[str, Any]]:
        log = EventLog(relay.spool)
        every = [one.event for one in log.of_message(message_id)]
        log.close()
        after = [
            {"kind": one.kind.value, "message_id": one.message_id, "detail": json.loads(one.detail)}
            for one in every
            if one.kind is not EventKind.SEND
        ]
        return after if len(after) >= number else []

    events = wait_until(found, f"{number} events of {message_id}")
    assert isinstance(events, list)
    return events


def known(relay: RunningRelay) -> int:
    """How many entries every worker has in memory."""
    workers = relay.ask("status")["readings"].values()
    found = [one["suppression_entries"] for one in workers if "suppression_entries" in one]
    return min(found) if len(found) == relay.workers else -1


def sent_to(receiver: Receiver, address: str) -> int:
    return sum(address in one.recipients for one in list(receiver.received))


def bounces(receiver: Receiver, message_id: str) -> list[bytes]:
    found = [one.content for one in list(receiver.received) if not one.sender]
    return [content for content in found if message_id.encode() in content]


def test_a_hard_bounce_keeps_the_next_message_back_until_it_is_taken_off(
    shared_relay: RunningRelay, shared_receiver: Receiver, directory: Directory
) -> None:
    address, before = f"Gone@{DOMAIN}", known(shared_relay)
    shared_receiver.replies[f"RCPT {address}"] = "550 5.1.1 no such user here"
    (first,) = told(shared_relay, submit(shared_relay, address), 1)
    assert (first["kind"], first["detail"]["bounceType"]) == ("Bounce", "Permanent")
    listed = wait_until(lambda: directory.suppression.everywhere(address.lower()), "it is listed")
    assert [(list_of, one.reason, one.message_id) for list_of, one in listed] == [
        (SERVICE, BOUNCE, first["message_id"]),
        (1, BOUNCE, first["message_id"]),
    ]
    wait_until(lambda: known(shared_relay) >= before + 2, "the workers know it")

    del shared_receiver.replies[f"RCPT {address}"]  # it would be taken now, if it were sent
    fine = f"fine@{DOMAIN}"
    message_id = submit(shared_relay, address.lower(), fine)
    events = {one["detail"]["recipient"]: one for one in told(shared_relay, message_id, 2)}
    assert events[fine]["kind"] == "Delivery"
    kept_back = events[address.lower()]
    detail = kept_back["detail"]
    assert kept_back["kind"] == "Bounce"
    assert (detail["bounceType"], detail["bounceSubType"]) == ("Permanent", "OnAccountSuppressionList")
    assert (detail["source"], detail["status"], detail["host"]) == ("suppression-list", "5.1.1", "")
    wait_until(lambda: bounces(shared_receiver, message_id), "the sender hears of it")
    (report,) = bounces(shared_receiver, message_id)
    assert f"Final-Recipient: rfc822; {address.lower()}".encode() in report
    assert sent_to(shared_receiver, address.lower()) == 0
    assert sent_to(shared_receiver, fine) == 1

    shown = json.loads(shared_relay.command("suppression", "show", address, "--json").stdout)
    assert [one["list"] for one in shown] == ["service", ACCOUNT]
    gone = shared_relay.command("suppression", "remove", address, "--account", ACCOUNT)
    assert gone.returncode == 0, gone.stderr
    (again,) = told(shared_relay, submit(shared_relay, address.lower()), 1)  # the service's does not bind it
    assert again["kind"] == "Delivery"
    assert sent_to(shared_receiver, address.lower()) == 1


def test_who_complained_is_kept_back_and_told_as_a_complaint(
    shared_relay: RunningRelay, shared_receiver: Receiver, directory: Directory
) -> None:
    address, before = f"angry@{DOMAIN}", known(shared_relay)
    added = shared_relay.command("suppression", "add", address, "--account", ACCOUNT, "--reason", "complaint")
    assert added.returncode == 0, added.stderr
    wait_until(lambda: known(shared_relay) > before, "the workers know it")
    (event,) = told(shared_relay, submit(shared_relay, address), 1)
    assert (event["kind"], event["detail"]["subType"]) == ("Complaint", "OnAccountSuppressionList")
    assert (event["detail"]["recipient"], event["detail"]["source"]) == (address, "suppression-list")


def test_without_a_list_of_its_own_an_account_is_bound_by_the_services(
    shared_relay: RunningRelay, shared_receiver: Receiver, directory: Directory
) -> None:
    address, before = f"shared@{DOMAIN}", known(shared_relay)
    directory.suppression.put([(SERVICE, Listed(address, BOUNCE, 0.0))])  # long ago: forgotten
    directory.accounts.set(ACCOUNT, suppressed_reasons=frozenset())
    try:
        shared_relay.wait_for_directory(directory)
        wait_until(lambda: known(shared_relay) > before, "the workers know it")
        (event,) = told(shared_relay, submit(shared_relay, address), 1)
        assert event["kind"] == "Delivery"
        added = shared_relay.command("suppression", "add", address, "--service")
        assert added.returncode == 0, added.stderr
        (event,) = told(shared_relay, submit(shared_relay, address), 1)  # they know the address: at once
        assert event["kind"] == "Bounce"
        assert event["detail"]["bounceSubType"] == "Suppressed"
    finally:
        directory.accounts.set(ACCOUNT, suppressed_reasons=frozenset(SuppressionReason))
    shared_relay.wait_for_directory(directory)


def test_the_simulators_bounces_put_nobody_on_a_list(
    shared_relay: RunningRelay, shared_receiver: Receiver, directory: Directory
) -> None:
    simulated = f"bounce@simulator.{HOSTNAME}"
    message_id = submit(shared_relay, simulated)
    told(shared_relay, message_id, 1)
    for number in count():
        address = f"truly-gone-{number}@{DOMAIN}"
        shared_receiver.replies[f"RCPT {address}"] = "550 5.1.1 no such user here"
        if submit(shared_relay, address)[-6:] == message_id[-6:]:  # it bounces in the same shard, behind it
            break
    wait_until(lambda: directory.suppression.everywhere(address), "that one is listed")
    assert directory.suppression.everywhere(simulated) == []
