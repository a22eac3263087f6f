"""NOTIFY=SUCCESS (RFC 3461): who reports success depends on whether the receiver's server speaks DSN."""

from email import message_from_bytes

from tests.fakes.prepared import HOSTNAME, SENDER, message, wait_until
from tests.scenarios.conftest import StartRelay
from tests.scenarios.receiver import Receiver

NOTIFY = ["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;first@elsewhere.example"]


def test_success_is_reported_once_and_by_whom_it_should(start_relay: StartRelay, receiver: Receiver) -> None:
    """One recipient behind a server without DSN, one behind a server with it, one at the simulator."""
    with Receiver() as with_dsn:
        with_dsn.extensions.append("DSN")
        relay = start_relay(
            next_hop=receiver.port,
            workers=1,
            more=f'[[route]]\ndomain = "dsn.example"\nnext_hop = "127.0.0.1:{with_dsn.port}"\ntls = "none"\n',
        )
        recipients = ["plain@receiver.example", "speaks@dsn.example", f"success@simulator.{HOSTNAME}"]
        with relay.client() as client:
            client.mail(SENDER, ["ENVID=QQ314159", "RET=FULL"])
            for one in recipients:
                code, said = client.rcpt(one, NOTIFY)
                assert code == 250, said
            client.rcpt("silent@receiver.example")
            code, said = client.data(message("asks to hear"))
            assert code == 250, said
        got = with_dsn.wait_for("asks to hear")
        assert "RCPT TO:<speaks@dsn.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;first@elsewhere.example" in (
            with_dsn.commands
        )
        assert "ENVID=QQ314159" in got.mail_line

        def reports() -> list[bytes]:
            found = [one.content for one in list(receiver.received) if not one.sender]
            return found if len(found) == 2 else []

        actions = {}
        for content in wait_until(reports, "two reports"):
            assert f"To: <{SENDER}>".encode() in content
            assert b"Hello asks to hear" not in content  # the body stays away, in spite of RET=FULL
            parts = list(message_from_bytes(content).walk())
            assert parts[0].get_param("report-type") == "delivery-status"
            fields = next(part for part in parts if part.get_content_type() == "message/delivery-status")
            of_message, of_recipient = fields.get_payload()
            assert of_message["Original-Envelope-Id"] == "QQ314159"
            assert of_recipient["Original-Recipient"] == "rfc822;first@elsewhere.example"
            actions[of_recipient["Final-Recipient"]] = of_recipient["Action"]
        assert actions == {
            "rfc822; plain@receiver.example": "relayed",
            f"rfc822; success@simulator.{HOSTNAME}": "delivered",
        }
        assert relay.count("failed") == 0
