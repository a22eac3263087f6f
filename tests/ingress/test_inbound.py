"""A server that brings mail back."""

import pytest

from relay.base.inbound import Door

DOORS = {
    "way-back@bounces.test": Door.RETURN_PATH,
    "forged@bounces.test": Door.FORGED,
    "postmaster@relay.test": Door.POSTMASTER,
    "abuse@relay.test": Door.UNREAD,
}


class Gate:
    def __init__(self):
        self.left = 1000
        self.asked = []

    def door(self, address, domain):
        self.asked.append((address, domain))
        return DOORS.get(address, Door.NOBODY)

    def takes_from(self, address, now):
        assert address == "127.0.0.1"
        self.left -= 1
        return self.left >= 0


@pytest.fixture
async def server(serve):
    gate = Gate()
    settings = {"trusted_networks": (), "account_id": 0, "role": "inbound", "auth": "none"}
    made = await serve(around={"gate": gate}, postmaster="postmaster@relay.test", **settings)
    made.gate = gate
    return made


async def test_it_offers_no_auth_and_takes_mail_for_our_addresses_only(server):
    client = await server.connect()
    offered = await client.ask("EHLO mx.test")
    assert "STARTTLS" in offered
    assert not [word for word in ("AUTH", "DSN", "DELIVERBY") if word in offered]
    assert await client.ask("AUTH PLAIN AGEAYg==") == "500 5.5.2 Command not recognized"
    assert await client.ask("MAIL FROM:<>") == "250 2.1.0 Ok"
    assert await client.ask("RCPT TO:<someone@else.test>") == "550 5.1.1 No such user here"
    assert await client.ask("RCPT TO:<forged@bounces.test>") == (
        "550 5.7.1 This return path is not one of ours"
    )
    assert await client.ask("RCPT TO:<abuse@relay.test>") == "550 5.1.1 Nobody reads mail to this address"
    assert await client.ask("DATA") == "554 5.5.1 No valid recipients"
    assert await client.ask("RCPT TO:<way-back@bounces.test>") == "250 2.1.5 Ok"
    assert await client.ask("RCPT TO:<postmaster>") == "250 2.1.5 Ok"
    assert (await client.ask("DATA")).startswith("354 ")
    client.say(b"From: x@y.test\r\n\r\nfailed\r\n.\r\n")
    assert await client.hear() == "250 2.6.0 Ok id-1"
    (submission,) = server.intake.submissions
    assert submission.account_id == 0
    assert [one.address for one in submission.envelope.recipients] == [
        "way-back@bounces.test",
        "postmaster@relay.test",
    ]


async def test_a_sender_may_be_anybody_over_tls_too(server):
    from tests.ingress.conftest import trusting

    client = await server.client()
    assert (await client.ask("STARTTLS")).startswith("220 ")
    await client.start_tls(trusting(server.chain))
    assert "STARTTLS" not in await client.ask("EHLO mx.test")
    assert await client.ask("MAIL FROM:<mailer-daemon@else.test>") == "250 2.1.0 Ok"
    assert await client.ask("RCPT TO:<way-back@bounces.test>") == "250 2.1.5 Ok"


async def test_too_much_at_once_comes_again(server):
    server.gate.left = 1
    client = await server.client()
    assert await client.ask("MAIL FROM:<>") == "250 2.1.0 Ok"
    assert await client.ask("RSET") == "250 2.0.0 Ok"
    assert await client.ask("MAIL FROM:<>") == "452 4.7.0 Too many messages, try again later"
    assert await client.ask("RCPT TO:<way-back@bounces.test>") == "503 5.5.1 Send MAIL first"


async def test_whoever_guesses_is_sent_away(server):
    client = await server.client()
    await client.ask("MAIL FROM:<>")
    for _ in range(server.settings.max_bad_commands):
        assert (await client.ask("RCPT TO:<guess@bounces.test>")).startswith("550 5.1.1 ")
    assert b"RCPT" not in await client.closes()


async def test_a_bad_address_is_not_asked_about(server):
    client = await server.client()
    assert (await client.ask("RCPT TO:<way-back@bounces.test>")).startswith("503 ")
    await client.ask("MAIL FROM:<>")
    assert (await client.ask("RCPT TO:<nobody>")).startswith("553 ")
    assert server.gate.asked == []
