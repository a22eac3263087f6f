"""The administrator's first hour: a Postfix whose relayhost we are, with STARTTLS and SASL."""

import smtplib

import pytest

from tests.fakes.prepared import DOMAIN, SENDER, message, wait_until
from tests.fakes.running import RunningRelay
from tests.scenarios.programs import Postfix
from tests.scenarios.receiver import Receiver

TO = "someone@receiver.example"


def settings(relay: RunningRelay, port: int, password: str) -> dict[str, str]:
    """What README tells the administrator to put into main.cf."""
    login = f"{relay.prepared.username}:{password}"
    return {
        "smtp_sasl_auth_enable": "yes",
        "smtp_sasl_security_options": "noanonymous",
        "smtp_sasl_password_maps": f"inline:{{ {{[localhost]:{port} = {login}}} }}",
        "smtp_tls_security_level": "verify",
        "smtp_tls_CAfile": str(relay.folder / "tls.crt"),
        "smtp_tls_verify_cert_match": "hostname",
        "smtp_tls_loglevel": "1",
    }


@pytest.mark.parametrize("tls", ["starttls", "wrapper"])
def test_a_message_goes_all_the_way(shared_relay: RunningRelay, shared_receiver: Receiver, tls: str) -> None:
    port = shared_relay.starttls if tls == "starttls" else shared_relay.wrapper
    main_cf = settings(shared_relay, port, shared_relay.prepared.password)
    if tls == "wrapper":
        main_cf["smtp_tls_wrappermode"] = "yes"
    with Postfix(f"[localhost]:{port}", main_cf) as postfix:
        with smtplib.SMTP("127.0.0.1", postfix.port, timeout=30) as client:
            client.sendmail(SENDER, [TO, "another@receiver.example"], message(f"postfix {tls}"))
        got = shared_receiver.wait_for(f"postfix {tls}")
        wait_until(lambda: postfix.log().count("status=sent (250 2.6.0 Ok ") == 2, "Postfix heard our 250")
        assert "Verified TLS connection established" in postfix.log()
    assert got.sender == SENDER
    assert sorted(got.recipients) == ["another@receiver.example", TO]
    assert shared_relay.signatures(got.content) == {DOMAIN: True, "relay.test.example": True}
    assert "with ESMTPSA" in got.parsed.get_all("received")[0]


def test_a_wrong_password_keeps_the_mail_in_its_queue(shared_relay: RunningRelay) -> None:
    port = shared_relay.starttls
    main_cf = settings(shared_relay, port, "wrong")
    with Postfix(f"[localhost]:{port}", main_cf) as postfix:
        with smtplib.SMTP("127.0.0.1", postfix.port, timeout=30) as client:
            client.sendmail(SENDER, [TO], message("never"))
        wait_until(lambda: "status=deferred (SASL authentication failed" in postfix.log(), "it is deferred")
        assert "535 5.7.8 Authentication Credentials Invalid" in postfix.log()


def test_an_unverified_sender_is_bounced_by_postfix(shared_relay: RunningRelay) -> None:
    port = shared_relay.starttls
    main_cf = settings(shared_relay, port, shared_relay.prepared.password)
    with Postfix(f"[localhost]:{port}", main_cf) as postfix:
        with smtplib.SMTP("127.0.0.1", postfix.port, timeout=30) as client:
            client.sendmail("x@elsewhere.example", [TO], message("refused", sender="x@elsewhere.example"))
        wait_until(lambda: "status=bounced" in postfix.log(), "it is bounced")
        assert "Email address is not verified." in postfix.log()
