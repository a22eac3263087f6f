"""The mail around a TLS report, read back with Python's email package."""

import email
import email.policy
import gzip
import json

import pytest

from relay.codec.tls_report import Reporter, report_json
from relay.codec.tls_report_mail import compose

DAY = 20_000
REPORTER = Reporter("Sender Inc.", "tls@sender.example", "relay.sender.example")
COMPRESSED = gzip.compress(report_json(DAY, "receiver.example", [], REPORTER), mtime=0)


def composed(**changes: object) -> bytes:
    fields = {
        "sender": "postmaster@sender.example",
        "recipient": "reports@receiver.example",
        "day": DAY,
        "domain": "receiver.example",
        "compressed": COMPRESSED,
        "reporter": REPORTER,
    }
    return compose(**{**fields, **changes})  # type: ignore[arg-type]


def test_as_its_readers_want_it() -> None:
    content = composed()
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert (message["From"], message["To"]) == ("postmaster@sender.example", "reports@receiver.example")
    assert message["Subject"] == (
        "Report Domain: receiver.example Submitter: relay.sender.example "
        "Report-ID: <2024-10-04T00:00:00Z_receiver.example@relay.sender.example>"
    )
    assert message["TLS-Report-Domain"] == "receiver.example"
    assert message["TLS-Report-Submitter"] == "relay.sender.example"
    assert message["TLS-Required"] == "No"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message.get_content_type() == "multipart/report"
    assert message["Content-Type"].params["report-type"] == "tlsrpt"
    text, report = message.iter_parts()
    assert text.get_content_type() == "text/plain"
    assert "_smtp._tls.receiver.example" in text.get_content()
    assert report.get_content_type() == "application/tlsrpt+gzip"
    assert report.get_filename() == "relay.sender.example!receiver.example!1728000000!1728086399!1.json.gz"
    assert json.loads(gzip.decompress(report.get_content()))["organization-name"] == "Sender Inc."
    assert content == composed()


def test_it_is_clean_for_the_wire() -> None:
    content = composed(reporter=Reporter("Größe & Co.", "tls@sender.example", "relay.sender.example"))
    assert content.isascii()
    assert b"\n" not in content.replace(b"\r\n", b"")
    assert max(map(len, content.split(b"\r\n"))) <= 998
    [text, _] = email.message_from_bytes(content, policy=email.policy.default).iter_parts()
    assert "Größe & Co." in text.get_content()


def test_a_long_domain_does_not_break_the_header() -> None:
    domain = ".".join(["a" * 60] * 4)
    message = email.message_from_bytes(composed(domain=domain), policy=email.policy.default)
    assert message["TLS-Report-Domain"] == domain


@pytest.mark.parametrize("address", ["", "nobody", "a@b.example\r\nBcc: x@y.example", "ü@b.example"])
def test_addresses_that_cannot_be_written_to(address: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        composed(recipient=address)
    with pytest.raises(ValueError):  # noqa: PT011
        composed(sender=address)
