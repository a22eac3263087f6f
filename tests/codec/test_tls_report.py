"""TLS reports: the record that asks for them, as a table, and the JSON, field by field (RFC 8460 4.4)."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.base.tls_session import TlsFailure, TlsPolicy, TlsPolicyType, TlsSession
from relay.codec.tls_report import (
    MAX_ADDRESSES,
    Reporter,
    file_name,
    mail_address,
    parse_record,
    report_id,
    report_json,
)

DAY = 20_000  # 2024-10-04
REPORTER = Reporter("Sender Inc.", "tls@sender.example", "relay.sender.example")
STS = TlsPolicy(
    "receiver.example",
    TlsPolicyType.STS,
    ("version: STSv1", "mode: testing", "mx: *.receiver.example", "max_age: 86400"),
    ("*.receiver.example",),
)
TLSA = TlsPolicy("receiver.example", TlsPolicyType.TLSA, ("3 1 1 00ff",))
NONE = TlsPolicy("receiver.example")


@pytest.mark.parametrize(
    ("texts", "addresses"),
    [
        (["v=TLSRPTv1; rua=mailto:reports@example.com"], ["mailto:reports@example.com"]),
        (["v=TLSRPTv1;rua=https://reporting.example.com/v1/tlsrpt;"], ["https://reporting.example.com/v1/tlsrpt"]),
        (
            ["v=TLSRPTv1; rua=mailto:a@example.com , https://b.example/x"],
            ["mailto:a@example.com", "https://b.example/x"],
        ),
        (["v=TLSRPTv1; later=1; rua=mailto:a@example.com"], ["mailto:a@example.com"]),
        (["v=spf1 -all", "v=TLSRPTv1; rua=mailto:a@example.com"], ["mailto:a@example.com"]),
        (["v=TLSRPTv1; rua=mailto:a%2Bb@example.com"], ["mailto:a%2Bb@example.com"]),
        (["v=TLSRPTv1; rua=mailto:a@x.example,mailto:a@x.example"], ["mailto:a@x.example"]),
        (["v=TLSRPTv1; rua=http://a.example/,mailto:b@example.com"], ["mailto:b@example.com"]),
        (["v=TLSRPTv1; rua=mailto:nobody,mailto:b@example.com"], ["mailto:b@example.com"]),
        (["v=TLSRPTv1; rua=mailto:a%0D%0ABcc:x@b.example"], []),
        (["v=TLSRPTv1; rua=https://user:password@a.example/"], []),
        (["v=TLSRPTv1; rua=https:///x"], []),
        (["v=TLSRPTv1; rua=https://[::1/x"], []),
        (["v=TLSRPTv1; rua="], []),
        (["v=TLSRPTv1"], []),
        (["v=TLSRPTv2; rua=mailto:a@example.com"], []),
        (["V=TLSRPTV1; rua=mailto:a@example.com"], []),
        (["v=TLSRPTv1; rua=mailto:a@example.com", "v=TLSRPTv1; rua=mailto:b@example.com"], []),
        ([], []),
    ],
)  # fmt: skip
def test_where_reports_go(texts: list[str], addresses: list[str]) -> None:
    assert parse_record(texts) == tuple(addresses)


def test_an_address_is_unquoted() -> None:
    assert mail_address("mailto:a%2Bb@example.com?subject=x") == "a+b@example.com"


def test_addresses_are_bounded() -> None:
    many = ",".join(f"mailto:{number}@example.com" for number in range(20))
    assert len(parse_record([f"v=TLSRPTv1; rua={many}"])) == MAX_ADDRESSES


@given(st.text().map(lambda tail: f"v=TLSRPTv1; rua={tail}"))
def test_any_record_gives_addresses_that_can_be_used(text: str) -> None:
    for uri in parse_record([text]):
        assert uri.lower().startswith(("mailto:", "https:"))
        if uri.lower().startswith("mailto:"):
            assert "@" in mail_address(uri)


def test_a_report() -> None:
    failure = TlsSession(
        STS,
        TlsFailure.CERTIFICATE_EXPIRED,
        "mx1.receiver.example",
        "192.0.2.1",
        "198.51.100.1",
        "certificate has expired",
    )
    sessions = [
        (TlsSession(STS), 5326),
        (failure, 100),
        (TlsSession(STS, TlsFailure.STS_POLICY_FETCH_ERROR, detail="HTTP status 500"), 3),
        (TlsSession(NONE), 7),
        (TlsSession(TLSA, TlsFailure.VALIDATION_FAILURE, "mx2.receiver.example"), 1),
    ]
    assert json.loads(report_json(DAY, "receiver.example", sessions, REPORTER)) == {
        "organization-name": "Sender Inc.",
        "date-range": {"start-datetime": "2024-10-04T00:00:00Z", "end-datetime": "2024-10-04T23:59:59Z"},
        "contact-info": "tls@sender.example",
        "report-id": "2024-10-04T00:00:00Z_receiver.example@relay.sender.example",
        "policies": [
            {
                "policy": {
                    "policy-type": "sts",
                    "policy-string": list(STS.lines),
                    "policy-domain": "receiver.example",
                    "mx-host": ["*.receiver.example"],
                },
                "summary": {"total-successful-session-count": 5326, "total-failure-session-count": 103},
                "failure-details": [
                    {
                        "result-type": "certificate-expired",
                        "sending-mta-ip": "198.51.100.1",
                        "receiving-mx-hostname": "mx1.receiver.example",
                        "receiving-ip": "192.0.2.1",
                        "failed-session-count": 100,
                        "failure-reason-code": "certificate has expired",
                    },
                    {
                        "result-type": "sts-policy-fetch-error",
                        "failed-session-count": 3,
                        "failure-reason-code": "HTTP status 500",
                    },
                ],
            },
            {
                "policy": {"policy-type": "no-policy-found", "policy-domain": "receiver.example"},
                "summary": {"total-successful-session-count": 7, "total-failure-session-count": 0},
            },
            {
                "policy": {
                    "policy-type": "tlsa",
                    "policy-string": ["3 1 1 00ff"],
                    "policy-domain": "receiver.example",
                },
                "summary": {"total-successful-session-count": 0, "total-failure-session-count": 1},
                "failure-details": [
                    {
                        "result-type": "validation-failure",
                        "receiving-mx-hostname": "mx2.receiver.example",
                        "failed-session-count": 1,
                    }
                ],
            },
        ],
    }


def test_names_are_the_same_for_every_copy() -> None:
    assert report_id(DAY, "a.example", REPORTER) == report_id(DAY, "a.example", REPORTER)
    assert report_id(DAY, "a.example", REPORTER) != report_id(DAY + 1, "a.example", REPORTER)
    assert file_name(DAY, "a.example", REPORTER) == (
        "relay.sender.example!a.example!1728000000!1728086399!1.json.gz"
    )


@given(st.text(), st.text())
def test_any_text_is_carried(organization: str, detail: str) -> None:
    session = TlsSession(NONE, TlsFailure.VALIDATION_FAILURE, detail=detail)
    made = json.loads(report_json(DAY, "a.example", [(session, 1)], Reporter(organization, "", "b.example")))
    assert made["organization-name"] == organization
    assert made["policies"][0]["failure-details"][0].get("failure-reason-code", "") == detail
