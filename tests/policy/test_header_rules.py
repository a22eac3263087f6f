"""Rules on headers, as a table: the header in, the text of the refusal out."""

import time

import pytest

from relay.base.errors import Refused
from relay.base.reply import Reply
from relay.codec.headers import Header
from relay.policy.header_rules import ONCE, check

FROM = b"From: a@example.org\r\n"


def text_of(reply: Reply) -> str:
    assert (reply.code, reply.enhanced) == (554, "5.6.0")
    assert reply.text.startswith("Transaction failed: ")
    return reply.text.removeprefix("Transaction failed: ")


def refusal(header: bytes) -> str:
    """What the client is told, "" if the header passes."""
    content = header + b"\r\nbody\x0b\r\n"
    parsed = Header.parse(content)
    try:
        check(parsed, content[: parsed.body_offset])
    except Refused as refused:
        return text_of(refused.reply)
    return ""


@pytest.mark.parametrize(
    "header",
    [
        FROM,
        FROM + b"Received: x\r\nReceived: y\r\nX-A: 1\r\nX-A: 2\r\n",
        FROM + b"To: a@example.net\r\nTo: b@example.net\r\nCc: c@example.net\r\nCc: d@example.net\r\n",
        FROM + "Subject: Grüße\r\n".encode(),
        FROM + b"Subject: Gr\xfc\xdfe\r\n",
        FROM + b"Subject:\r\n",
        FROM + b"Subject: x\r\n\ty\tz\r\n",
        FROM + b"X: " + b"x" * 995 + b"\r\n",
        FROM + b"References: " + b"\r\n ".join([b"<%d@example.org>" % n for n in range(200)]) + b"\r\n",
        FROM + b"To: " + b",\r\n ".join([b"N <n%d@example.net>" % n for n in range(200)]) + b"\r\n",
        FROM + b"To: undisclosed-recipients:;\r\nReply-To: A (x) <a@example.org>\r\n",
        FROM + b"List-Unsubscribe: <https://example.org/u>\r\nList-Unsubscribe-Post: x\r\n",
        b"",
    ],
)
def test_passes(header: bytes) -> None:
    assert refusal(header) == ""


@pytest.mark.parametrize(
    ("header", "text"),
    [
        (FROM + b"Subject: a\r\nSUBJECT: b\r\n", "Duplicate header 'SUBJECT'."),
        (FROM + b"DKIM-Signature: a\r\nDKIM-Signature: b\r\n", "Duplicate header 'DKIM-Signature'."),
        (FROM + b"Date: a\r\nX: y\r\nDate : b\r\n", "Duplicate header 'Date'."),
        (
            FROM + b"X: " + b"x" * 996 + b"\r\n",
            "Header too long: 'X'. Fold it: 998 characters a line at most.",
        ),
        (
            FROM + b"List-Unsubscribe: <a>,\r\n " + b"x" * 998 + b"\r\n",
            "Header too long: 'List-Unsubscribe'. Fold it: 998 characters a line at most.",
        ),
        (
            FROM + b"Subject: a\x0bb\r\n",
            "Illegal header 'Subject': it has the control character 0x0b. "
            "Remove it, or encode the text by RFC 2047.",
        ),
        (
            FROM + b"X-A: y\r\nX-B: a\r\n \x7f\r\n",
            "Illegal header 'X-B': it has the control character 0x7f. "
            "Remove it, or encode the text by RFC 2047.",
        ),
        (FROM + b"To: root\r\n", "Missing final '@domain' in header 'To'."),
        (FROM + b"Cc: a@example.org, <>\r\n", "Missing final '@domain' in header 'Cc'."),
        (FROM + b'Bcc: "a\r\n', "Quotes or brackets that do not pair in header 'Bcc'."),
        (FROM + b"reply-to: A a@example.org\r\n", "White space within an address in header 'reply-to'."),
        (
            FROM + b"X" * 200 + b": \x01\r\n",
            "Illegal header '" + "X" * 80 + "': it has the control character "
            "0x01. Remove it, or encode the text by RFC 2047.",
        ),
    ],
)
def test_is_refused(header: bytes, text: str) -> None:
    assert refusal(header) == text
    assert len(Reply(554, text, "5.6.0").line()) <= 512


@pytest.mark.parametrize("name", sorted(ONCE))
def test_each_field_of_the_list_occurs_once(name: bytes) -> None:
    value = b": a@example.org\r\n"
    assert refusal(name + value) == ""
    assert (
        refusal(name + value + b"X-Other: y\r\n" + name.upper() + value)
        == f"Duplicate header '{name.decode().upper()}'."
    )


def test_there_are_as_many_fields_on_the_list_as_ses_has() -> None:
    assert len(ONCE) == 59


@pytest.mark.parametrize("piece", [b"To: a\r\n", b"X: y\r\n", b"To: " + b"(" * 900 + b"\r\n", b"X:\r\n "])
def test_a_large_header_costs_time_in_its_length_only(piece: bytes) -> None:
    header = piece * min(999, 200_000 // len(piece))
    began = time.process_time()
    refusal(FROM + header.rstrip(b" "))
    assert time.process_time() - began < 1.0


def test_many_odd_addresses_pass_unjudged() -> None:
    odd = b"To: a@example.org " + b"(z)" * 300 + b"\r\n"
    wrong = b"Cc: root\r\n"
    assert refusal(FROM + odd * 16 + wrong) == "Missing final '@domain' in header 'Cc'."
    assert refusal(FROM + odd * 18 + wrong) == ""
