"""Addresses, replies, codes and dates as strangers write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.codec import report_fields
from relay.codec.report_fields import (
    address_in,
    address_of,
    date_in,
    host_in,
    message_id_in,
    reply_in,
    status_in,
    typed,
)


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("rfc822; user@example.org", "user@example.org"),
        ("RFC822;<user@example.org>", "user@example.org"),
        ("user@example.org", "user@example.org"),
        ("rfc822; user+2Btag@example.org", "user+tag@example.org"),
        ("rfc822; user+tag@example.org", "user+tag@example.org"),
        ("rfc822; user+20x@example.org", "user+20x@example.org"),
        ("rfc822; user+3Dx=a@example.org", "user+3Dx=a@example.org"),  # "=" is no xtext: it stands as it is
        ("utf-8; j\\x{F6}rg@example.org", "jörg@example.org"),
        ("utf-8; jörg@exämple.org", "jörg@exämple.org"),
        ('rfc822; "a b"@example.org', '"a b"@example.org'),
        ("rfc822; user@[192.0.2.1]", "user@[192.0.2.1]"),
        ("rfc822; user@example.org (the user)", "user@example.org"),
        ("rfc822; @relay.example", ""),
        ("X-Unix; |/bin/procmail", ""),
        ("rfc822;", ""),
        ("", ""),
    ],
)
def test_addresses_of_fields(value: str, address: str) -> None:
    assert address_of(value) == address


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("smtp; 550 5.1.1 <a@b.example>... User unknown", (550, "5.1.1")),
        ("550-5.1.1 The account", (550, "5.1.1")),
        ("550 #5.1.0 Address rejected.", (550, "5.1.0")),
        ("550: 5.1.1 no colon needed", (550, "5.1.1")),
        ("550: no code", (550, "")),
        ("550 no code", (550, "")),
        ("at 2001:db8:550:1::4 nothing", (0, "")),
        ("550", (550, "")),
        ("host mx.example[192.0.2.1] said: 452\n    4.3.2 slow down", (452, "4.3.2")),
        ("host mx.example[192.0.2.1] said: 452 4.3.2 slow down", (452, "4.3.2")),
        ("after MAIL FROM:<a@b.example> SIZE=554 x: host mx [192.0.2.5]: 550 no", (550, "")),
        ("SIZE=554 and nothing else", (0, "")),
        ("Messages from 192.0.2.1 deferred - 4.16.55.1; see", (0, "")),
        ("421 4.7.0 [TSS04] deferred - 4.16.55.1; see", (421, "4.7.0")),
        ("I couldn't find any host. (#5.1.2)", (0, "5.1.2")),
        ("5.1.1 - Bad destination mailbox", (0, "5.1.1")),
        ("no mailbox 550123", (0, "")),
        ("250 2.0.0 Ok", (250, "2.0.0")),
        ("some said 250 Ok: 250 2.0.0 Ok", (0, "")),
        ("452 5.2.2 which is it", (452, "")),
        ("sendmail 8.14.4 said so", (0, "")),
        ("", (0, "")),
    ],
)
def test_replies_within_text(text: str, found: tuple[int, str]) -> None:
    assert reply_in(text) == found


def test_codes_of_status_fields() -> None:
    assert status_in("5.1.1") == "5.1.1"
    assert status_in(" 4.4.0 (other or undefined network status)") == "4.4.0"
    assert [status_in(value) for value in ("", "5", "5.1", "9.1.1", "5.1.1.1", "failed")] == [""] * 6


def test_types_are_taken_off() -> None:
    assert typed("dns; mx.example") == "mx.example"
    assert typed("smtp;550 5.1.1 no") == "550 5.1.1 no"
    assert typed("550 no; really") == "550 no; really"
    assert host_in("dns; mx.example. (192.0.2.1, the server for the domain.)") == "mx.example"
    assert host_in("") == ""


def test_dates_and_ids() -> None:
    assert date_in("Thu, 29 Apr 2010 23:34:45 +0900") == 1272551685.0
    assert [date_in(value) for value in ("", "soon", "Thu, 99 Apr 2010 99:99:99 +9999", "1" * 5_000)] == [
        0.0
    ] * 4
    assert message_id_in("<a@b.example> and more") == "<a@b.example>"
    assert message_id_in("a@b.example") == "<a@b.example>"
    assert [message_id_in(value) for value in ("", "none", "<no id here>")] == [""] * 3


@given(st.text(max_size=500))
def test_any_text_is_taken(text: str) -> None:
    for name in ("address_in", "address_of", "status_in", "typed", "host_in", "message_id_in"):
        assert isinstance(getattr(report_fields, name)(text), str)
    code, status = reply_in(text)
    assert code == 0 or 200 <= code <= 599
    assert date_in(text) >= 0.0
    assert status == "" or status[0] in "245"
    assert address_in(address_in(text)) == address_in(text)


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("rfc822; user+41@example.org", "user+41@example.org"),  # a label that looks like a code
        ("rfc822; bounces+user=example.org@example.com", "bounces+user=example.org@example.com"),
        ("rfc822; bounces+2Buser+3Dexample.org@example.com", "bounces+user=example.org@example.com"),
    ],
)
def test_a_label_is_no_xtext(value: str, address: str) -> None:
    assert address_of(value) == address
