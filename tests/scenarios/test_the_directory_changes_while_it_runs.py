"""What the administrator changes holds within a second or so, in every worker, with no reload."""

import smtplib

import pytest

from tests.fakes.prepared import ACCOUNT, DOMAIN, SENDER, message, wait_until
from tests.fakes.running import RunningRelay
from tests.scenarios.receiver import Receiver

TO = "someone@receiver.example"
BOUND_S = 4.0  # the poll is every second; the rest is for slow machines


def sessions_to_all_workers(relay: RunningRelay, username: str, password: str) -> list[smtplib.SMTP]:
    """One open session per worker; the end of a message id tells who took it."""
    found: dict[str, smtplib.SMTP] = {}
    for _ in range(60):
        client = relay.client(username, password)
        client.mail(SENDER)
        client.rcpt(TO)
        code, reply = client.data(message("hello"))
        assert code == 250, reply
        shard = reply.decode()[-6:]
        if shard in found:
            client.close()
        found.setdefault(shard, client)
        if len(found) == relay.workers:
            return list(found.values())
    raise AssertionError(f"60 connections reached only {sorted(found)}")


def answer(client: smtplib.SMTP, sender: str = SENDER) -> tuple[int, str]:
    """To one whole message; the session is fit for another."""
    client.rset()
    code, reply = client.mail(sender)
    if code == 250:
        client.rcpt(TO)
        code, reply = client.data(message("asked", sender=sender))
    return code, reply.decode()


def test_an_account_is_paused_and_resumed(shared_relay: RunningRelay) -> None:
    directory = shared_relay.directory()
    directory.accounts.create("paused-one", max_send_rate=-1, max_24_hours=-1)
    directory.identities.add("paused-one", DOMAIN, is_verified=True)
    made = directory.credentials.create("paused-one")
    shared_relay.wait_for_directory(directory)
    clients = sessions_to_all_workers(shared_relay, made.smtp_username, made.smtp_password)
    directory.accounts.pause("paused-one", "complaints")
    for client in clients:
        code, text = wait_until(lambda c=client: _not_accepted(c), "the pause holds", BOUND_S)
        assert code == 554
        assert text.startswith("5.7.1 Message rejected: Sending suspended for this account"), text
    directory.accounts.resume("paused-one")
    for client in clients:
        wait_until(lambda c=client: answer(c)[0] == 250, "it may send again", BOUND_S)
        client.close()
    directory.close()


def _not_accepted(client: smtplib.SMTP) -> tuple[int, str] | None:
    code, text = answer(client)
    return None if code == 250 else (code, text)


def test_a_new_credential_works_and_a_deleted_one_does_not(shared_relay: RunningRelay) -> None:
    directory = shared_relay.directory()
    made = directory.credentials.create(ACCOUNT)
    shared_relay.wait_for_directory(directory)
    for client in sessions_to_all_workers(shared_relay, made.smtp_username, made.smtp_password):
        client.close()
    directory.credentials.delete(made.key_id)
    shared_relay.wait_for_directory(directory)
    directory.close()
    with shared_relay.connect() as client:
        client.user, client.password = made.smtp_username, made.smtp_password
        with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
            client.auth("PLAIN", client.auth_plain)
    assert (refused.value.smtp_code, refused.value.smtp_error) == (
        535,
        b"5.7.8 Authentication Credentials Invalid",
    )


def test_a_disabled_credential_sends_no_more_through_any_worker(shared_relay: RunningRelay) -> None:
    directory = shared_relay.directory()
    made = directory.credentials.create(ACCOUNT)
    shared_relay.wait_for_directory(directory)
    clients = sessions_to_all_workers(shared_relay, made.smtp_username, made.smtp_password)
    assert shared_relay.command("credential", "disable", made.key_id).returncode == 0
    for client in clients:
        code, text = wait_until(lambda c=client: _not_accepted(c), "the session is refused", BOUND_S)
        assert (code, text) == (
            554,
            "5.7.1 Access denied: the credential of this session is no longer active.",
        )
    assert shared_relay.command("credential", "enable", made.key_id).returncode == 0
    for client in clients:
        wait_until(lambda c=client: answer(c)[0] == 250, "it may send again", BOUND_S)
        client.close()
    directory.credentials.delete(made.key_id)
    directory.close()


def test_a_new_identity_may_be_used(shared_relay: RunningRelay, shared_receiver: Receiver) -> None:
    sender = "hello@newcomer.example"
    clients = sessions_to_all_workers(
        shared_relay, shared_relay.prepared.username, shared_relay.prepared.password
    )
    assert [answer(client, sender)[0] for client in clients] == [554] * len(clients)
    directory = shared_relay.directory()
    directory.identities.add(ACCOUNT, "newcomer.example")
    assert [answer(client, sender)[0] for client in clients] == [554] * len(clients)
    directory.identities.verify("newcomer.example")
    directory.close()
    for client in clients:
        wait_until(lambda c=client: answer(c, sender)[0] == 250, "the identity holds", BOUND_S)
        client.close()
    shared_receiver.wait_for("asked")
