"""The header that leaves."""

import pytest

from relay.base.message import Client
from relay.codec.headers import Header
from relay.signing.headers import date_text, outgoing_fields, received

NOW = 1_700_000_000.75
ID = "0000018bcfe56800-5b1c0000-0000-4000-8000-000000000000-000001"


def leaves(header):
    fields = outgoing_fields(Header.parse(header + b"\r\n"), ID, "relay.example.net", NOW)
    return b"".join(raw for _, raw in fields)


OUR_DATE = b"Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n"
OUR_ID = b"Message-ID: <" + ID.encode() + b"@relay.example.net>\r\n"


def test_date():
    assert date_text(1_700_000_000) == "Tue, 14 Nov 2023 22:13:20 +0000"


@pytest.mark.parametrize(
    ("submitted", "outgoing"),
    [
        (b"", OUR_DATE + OUR_ID),
        (b"From: a@example.com\r\n", b"From: a@example.com\r\n" + OUR_DATE + OUR_ID),
        (
            b"DATE: yesterday\r\nFrom: a@example.com\r\nMessage-Id: <theirs>\r\nSubject: x\r\n",
            OUR_DATE + b"From: a@example.com\r\n" + OUR_ID + b"Subject: x\r\n",
        ),
        (b"Date: 1\r\nDate: 2\r\nMessage-ID: 1\r\nMessage-ID: 2\r\n", OUR_DATE + OUR_ID),
        (
            b"Return-Path: <b@example.com>\r\nBCC: c@example.org,\r\n d@example.org\r\nCc: e@example.org\r\n"
            b"Resent-Bcc: f@example.org\r\nX-SES-Tags: a=b\r\nX-Ses-Set: c\r\nX-SESSION: kept\r\n",
            b"Cc: e@example.org\r\nX-SESSION: kept\r\n" + OUR_DATE + OUR_ID,
        ),
        (
            b"Received: from x\r\n\tby y\r\nSubject:  folded\r\n   here \t\r\nX-8:\xe4\r\nReceived: z\r\n",
            b"Received: from x\r\n\tby y\r\nSubject:  folded\r\n   here \t\r\nX-8:\xe4\r\nReceived: z\r\n"
            + OUR_DATE
            + OUR_ID,
        ),
        (b"Cc \t: a@example.org:b\r\n", b"Cc: a@example.org:b\r\n" + OUR_DATE + OUR_ID),
    ],
)
def test_outgoing_fields(submitted, outgoing):
    assert leaves(submitted) == outgoing


@pytest.mark.parametrize(
    ("client", "field"),
    [
        (
            Client("192.0.2.1", 4711, "app.example.com", "ESMTPSA", "TLSv1.3 TLS_AES_256_GCM_SHA384", "AKIA"),
            "Received: from app.example.com ([192.0.2.1])\r\n"
            "\tby relay.example.net with ESMTPSA (TLSv1.3 TLS_AES_256_GCM_SHA384)\r\n",
        ),
        (
            Client("2001:db8::1", 4711, "[IPv6:2001:db8::1]", "ESMTP"),
            "Received: from [IPv6:2001:db8::1] ([IPv6:2001:db8::1])\r\n\tby relay.example.net with ESMTP\r\n",
        ),
        (
            Client("192.0.2.1", 4711, "evil) by me;\r\nSubject: x", "SMTP"),
            "Received: from unknown ([192.0.2.1])\r\n\tby relay.example.net with SMTP\r\n",
        ),
        (Client("192.0.2.1"), "Received: from unknown ([192.0.2.1])\r\n\tby relay.example.net\r\n"),
        (Client(), "Received: by relay.example.net\r\n"),
    ],
)
def test_received(client, field):
    end = f"\tid {ID};\r\n\tTue, 14 Nov 2023 22:13:20 +0000\r\n"
    assert received(client, "relay.example.net", ID, NOW) == (field + end).encode()
