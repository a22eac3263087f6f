"""STARTTLS and AUTH over a real socket."""

import logging
from base64 import b64encode

from relay.ingress.auth import Throttle

from .conftest import trusting
from .fakes import KEY_ID, PASSWORD
from .test_session import MESSAGE, transaction


async def encrypted(server):
    client = await server.client()
    assert await client.ask("STARTTLS") == "220 2.0.0 Ready to start TLS"
    await client.start_tls(trusting(server.chain))
    assert "250-AUTH PLAIN LOGIN" in await client.ask("EHLO c")
    return client


async def test_tls_auth_mail(serve):
    server = await serve()
    client = await server.client()
    assert await client.ask("AUTH PLAIN") == "530 5.7.0 Must issue a STARTTLS command first"
    client = await encrypted(server)
    assert await client.ask("STARTTLS") == "502 5.5.1 STARTTLS is not available"
    assert await client.ask("MAIL FROM:<a@x.test>") == "530 5.7.0 Authentication required"
    assert await client.ask("AUTH LOGIN") == "334 VXNlcm5hbWU6"
    assert await client.ask(b64encode(KEY_ID.encode()).decode()) == "334 UGFzc3dvcmQ6"
    assert await client.ask(b64encode(PASSWORD.encode()).decode()) == "235 2.7.0 Authentication successful."
    assert await client.ask("AUTH LOGIN") == "503 5.5.1 Already authenticated"
    await transaction(client)
    client.say(MESSAGE)
    assert await client.hear() == "250 2.6.0 Ok id-1"
    [submission] = server.intake.submissions
    assert submission.account_id == 7
    assert submission.client.protocol == "ESMTPSA"
    assert submission.client.credential == KEY_ID
    assert submission.client.tls.startswith("TLSv1.3 TLS_")


async def test_wrapper(serve):
    server = await serve(tls="wrapper")
    client = await server.connect(is_tls=True)
    await client.ask("EHLO c")
    await client.log_in()
    assert await client.ask("MAIL FROM:<a@x.test>") == "250 2.1.0 Ok"
    assert server.counters.tls_sessions == 1


async def test_nothing_said_in_clear_survives_starttls(serve):
    server = await serve()
    client = await server.connect()
    client.say(b"EHLO c\r\nSTARTTLS\r\nEHLO injected\r\nMAIL FROM:<evil@x.test>\r\n")
    await client.hear()
    assert (await client.hear()).startswith("220 ")
    await client.start_tls(trusting(server.chain))
    assert await client.ask("MAIL FROM:<a@x.test>") == "503 Send EHLO first"


async def test_a_failed_handshake_gives_its_place_back(serve, caplog):
    caplog.set_level(logging.INFO)
    server = await serve()
    client = await server.client()
    assert (await client.ask("STARTTLS")).startswith("220 ")
    client.say(b"this is no TLS\r\n" * 100)
    await client.closes()
    assert server.around.tally.total == 0
    assert server.counters.sessions == 0
    assert server.counters.tls_failures == 1
    assert "TLS handshake failed" in caplog.text


async def test_wrong_passwords_end_the_session(serve, caplog):
    caplog.set_level(logging.INFO)
    server = await serve(max_auth_failures=2)
    client = await encrypted(server)
    word = b64encode(f"\0{KEY_ID}\0hunter2".encode()).decode()
    assert await client.ask(f"AUTH PLAIN {word}") == "535 5.7.8 Authentication Credentials Invalid"
    assert await client.ask("AUTH LOGIN") == "334 VXNlcm5hbWU6"
    assert await client.ask("*") == "501 5.7.0 Authentication cancelled"
    assert await client.ask(f"AUTH PLAIN {word}") == "535 5.7.8 Authentication Credentials Invalid"
    assert await client.hear() == "421 4.7.0 Too many authentication failures"
    assert server.counters.auth_failures == 2
    assert "hunter2" not in caplog.text
    assert word not in caplog.text


async def test_mail_after_a_wrong_password_may_come_again(serve):
    """Sendmail sends MAIL although its AUTH was refused, and takes a 530 for the end of the message."""
    server = await serve()
    client = await encrypted(server)
    wrong = b64encode(f"\0{KEY_ID}\0x".encode()).decode()
    assert (await client.ask(f"AUTH PLAIN {wrong}")).startswith("535 ")
    for words in ("MAIL FROM:<a@x.test>", "RCPT TO:<b@y.test>", "DATA"):
        assert await client.ask(words) == "454 4.7.0 Authentication failed earlier in this session"
    right = b64encode(f"\0{KEY_ID}\0{PASSWORD}".encode()).decode()
    assert (await client.ask(f"AUTH PLAIN {right}")).startswith("235 ")
    assert (await client.ask("MAIL FROM:<a@x.test>")).startswith("250 ")


async def test_past_the_limit_passwords_are_not_looked_at(serve):
    server = await serve({"throttle": Throttle(max_per_address=1, delay_s=0.001, max_delay_s=0.002)})
    client = await encrypted(server)
    wrong = b64encode(f"\0{KEY_ID}\0x".encode()).decode()
    assert (await client.ask(f"AUTH PLAIN {wrong}")).startswith("535 ")
    assert await client.ask(f"AUTH PLAIN {wrong}") == "454 4.7.0 Temporary authentication failure"
    assert server.accounts.asked == 1


async def test_credentials_out_of_reach(serve, caplog):
    server = await serve()
    server.accounts.is_reachable = False
    client = await encrypted(server)
    word = b64encode(f"\0{KEY_ID}\0{PASSWORD}".encode()).decode()
    assert await client.ask(f"AUTH PLAIN {word}") == "454 4.7.0 Temporary authentication failure"
    assert word not in caplog.text
    assert PASSWORD not in caplog.text


async def test_auth_lines_may_be_long_others_not(serve):
    server = await serve()
    client = await encrypted(server)
    assert await client.ask("NOOP " + "x" * 3000) == "500 5.5.6 Line too long"
    assert await client.ask("AUTH PLAIN") == "334 "
    assert await client.ask("A" * 12000) == "501 5.5.2 Cannot decode the response"
    assert await client.ask("AUTH PLAIN " + "A" * 12000) == "501 5.5.2 Cannot decode the response"
    assert await client.ask("AUTH PLAIN") == "334 "
    assert await client.ask("A" * 13000) == "500 5.5.6 Line too long"
    assert await client.ask("NOOP") == "250 2.0.0 OK"


async def test_chunks_that_were_sent_in_clear_are_forgotten(serve):
    server = await serve(auth="none")
    client = await server.client()
    client.say(b"MAIL FROM:<a@x.test>\r\nRCPT TO:<b@y.test>\r\nBDAT 5\r\nevil\nSTARTTLS\r\n")
    assert [await client.hear() for _ in range(4)][3] == "220 2.0.0 Ready to start TLS"
    await client.start_tls(trusting(server.chain))
    await client.ask("EHLO c")
    client.say(b"MAIL FROM:<a@x.test>\r\nRCPT TO:<b@y.test>\r\nBDAT 6 LAST\r\ngood\r\n")
    assert [await client.hear() for _ in range(3)][2] == "250 2.6.0 Ok id-1"
    assert server.intake.submissions[0].content == b"good\r\n"
    assert server.around.budget.used_bytes == 0
