"""NOTIFY, RET, ENVID and ORCPT with a real Postfix as next hop, which speaks DSN, and a server that does not.

Both end at one receiver, which takes some recipients and refuses others, and gets the reports: those of
Postfix say that it understood what we passed on, those of the relay that it did not report twice.
"""

import re
from email import message_from_bytes
from email.policy import SMTP
from typing import Any

from tests.fakes.prepared import HOSTNAME, SENDER, message, wait_until
from tests.scenarios.conftest import StartRelay
from tests.scenarios.programs import Postfix
from tests.scenarios.receiver import Receiver

POSTFIX = "app.sender.example"
#        NOTIFY, whether the receiver takes it, what its sender hears
CASES: dict[str, tuple[str, bool, str]] = {
    "one": ("SUCCESS,FAILURE", True, "relayed"),
    "two": ("NEVER", False, ""),
    "three": ("FAILURE", False, "failed"),
    "four": ("", True, ""),
    "five": ("SUCCESS", False, ""),
    "six": ("", False, "failed"),
    "seven": ("DELAY", False, ""),
}


def reports(receiver: Receiver) -> list[tuple[str, Any, Any]]:
    """(who reports, fields of the message, fields of a recipient) of all that came from the null sender."""
    found = []
    for one in list(receiver.received):
        if one.sender:
            continue
        parsed = message_from_bytes(one.content, policy=SMTP)
        assert one.recipients == [SENDER]
        status = next(p for p in parsed.walk() if p.get_content_type() == "message/delivery-status")
        of_message, *of_recipients = status.get_payload()
        mta = str(of_message["Reporting-MTA"]).partition(";")[2].strip()
        found += [(mta, of_message, of_recipient) for of_recipient in of_recipients]
    return found


def test_each_recipient_is_reported_once_by_whom_it_should_be(
    start_relay: StartRelay, receiver: Receiver
) -> None:
    for name, (_, is_taken, _) in CASES.items():
        if not is_taken:
            for domain in ("dsn.example", "plain.example"):
                receiver.replies[f"RCPT {name}@{domain}"] = "550 5.1.1 Unknown"
    with Postfix(f"[127.0.0.1]:{receiver.port}", {"smtp_tls_security_level": "none"}) as postfix:
        hop = f'[[route]]\ndomain = "dsn.example"\nnext_hop = "127.0.0.1:{postfix.port}"\ntls = "none"\n'
        relay = start_relay(next_hop=receiver.port, workers=1, more=hop)
        with relay.client() as client:
            client.mail(SENDER, ["ENVID=QQ+2B314", "RET=HDRS"])
            for name, (notify, _, _) in CASES.items():
                for domain in ("dsn.example", "plain.example"):
                    options = [f"ORCPT=rfc822;{name}+2Bold@elsewhere.example"]
                    options += [f"NOTIFY={notify}"] if notify else []
                    assert client.rcpt(f"{name}@{domain}", options)[0] == 250
            assert client.data(message("asks to hear"))[0] == 250
        wanted = {name: action for name, (_, _, action) in CASES.items() if action}
        wait_until(lambda: len(reports(receiver)) >= 2 * len(wanted), "all reports")
        # seven to Postfix, two who are taken, and our report of success and our bounce
        wait_until(lambda: relay.count("delivered") == 7 + 2 + 2, "the reports of the relay are gone")
        heard: dict[tuple[str, str], str] = {}
        for mta, of_message, of_recipient in reports(receiver):
            address = str(of_recipient["Final-Recipient"]).partition(";")[2].strip()
            name, _, domain = address.partition("@")
            assert (address, mta) not in heard
            heard[address, mta] = str(of_recipient["Action"]).split()[0]
            assert mta == (POSTFIX if domain == "dsn.example" else HOSTNAME)
            assert of_message["Original-Envelope-Id"] == "QQ+314"
            assert str(of_recipient["Original-Recipient"]).replace(" ", "") == (
                f"rfc822;{name}+old@elsewhere.example"
            )
        assert heard == {
            (f"{name}@{domain}", mta): action
            for name, action in wanted.items()
            for domain, mta in (("dsn.example", POSTFIX), ("plain.example", HOSTNAME))
        }
        bodies = [one.content for one in receiver.received if not one.sender]
        assert not [one for one in bodies if b"Hello asks to hear" in one]  # RET=HDRS


def test_a_delay_is_told_once_and_the_mail_arrives_after_it(
    start_relay: StartRelay, receiver: Receiver
) -> None:
    relay = start_relay(
        next_hop=receiver.port, workers=1, retry='["100ms"]', delivery='delay_notice_after = "50ms"'
    )
    receiver.replies["RCPT slow@receiver.example"] = ["450 4.2.2 Full"] * 2
    with relay.client() as client:
        client.sendmail(SENDER, ["slow@receiver.example"], message("in the end"))
    receiver.wait_for("in the end")
    notice = receiver.wait_for("Your message is delayed")
    assert (notice.sender, notice.recipients) == ("", [SENDER])
    ((mta, _, fields),) = reports(receiver)
    assert (mta, fields["Action"], fields["Status"]) == (HOSTNAME, "delayed", "4.2.2")
    assert fields["Final-Recipient"] == "rfc822; slow@receiver.example"
    assert fields["Will-Retry-Until"] is not None


def test_a_message_that_comes_too_late_is_given_up_or_told_of(
    start_relay: StartRelay, receiver: Receiver
) -> None:
    """DELIVERBY (RFC 2852): mode R ends it at its time, mode N tells and goes on; a server that offers the
    extension hears how much time is left."""
    receiver.extensions.append("DELIVERBY")
    relay = start_relay(next_hop=receiver.port, workers=1, retry='["700ms"]')
    receiver.replies["RCPT given-up@receiver.example"] = ["450 4.2.2 Full"] * 1000
    receiver.replies["RCPT told@receiver.example"] = [
        "450 4.2.2 Full"
    ] * 3  # the third at its time, or past it
    with relay.client() as client:
        assert client.has_extn("deliverby")
        for name, by in (("given-up", "2;R"), ("told", "1;N"), ("in-time", "1000;R")):
            client.mail(SENDER, [f"BY={by}"])
            assert client.rcpt(f"{name}@receiver.example")[0] == 250
            assert client.data(message(name))[0] == 250
    in_time = receiver.wait_for("in-time")
    assert re.search(r" BY=(1000|9[0-9][0-9]);R$", in_time.mail_line)
    told = receiver.wait_for("told")
    assert re.search(r" BY=-[0-9]+;N$", told.mail_line)  # it is late, and says so
    receiver.wait_for("Your message could not be delivered")
    wait_until(lambda: len(reports(receiver)) == 2, "both reports")
    heard = {str(r["Final-Recipient"]): (str(r["Action"]), str(r["Status"])) for _, _, r in reports(receiver)}
    assert heard == {
        "rfc822; given-up@receiver.example": ("failed", "5.4.7"),
        "rfc822; told@receiver.example": ("delayed", "4.4.7"),
    }
    assert "given-up" not in receiver.subjects()
