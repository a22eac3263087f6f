"""Signatures: known canonical forms, and every signature verified by programs that are not ours."""

import os
import re
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.codec.headers import Header
from relay.directory.keys import ED25519, RSA, SigningKey, generate, load
from relay.signing.dkim import SIGNED, canonical_body, canonical_value, sign
from tests.signing import verifiers

NOW = 1_700_000_000  # in the past: verifiers refuse a signature from the future

RSA_KEY = load(generate(RSA, 1024), "example.com", "r1", RSA)
SECOND_KEY = load(generate(RSA, 2048), "relay.example.net", "r2", RSA)
ED_KEY = load(generate(ED25519), "example.com", "e1", ED25519)
KEYS = [RSA_KEY, ED_KEY, SECOND_KEY]

PLAIN = b"From: shop@example.com\r\nTo: user@example.org\r\nSubject: Hello\r\n\r\n"

MESSAGES = {
    "plain": PLAIN + b"Hello.\r\n",
    "folded header": (
        b"From: \"A  very\tlong name\"\r\n  <shop@example.com>\r\nTo: a@example.org,\r\n\tb@example.org,\r\n"
        b" \tc@example.org\r\nSubject:\r\n folded at the  start \r\n and with a blank\r\n  \t \r\n inside"
        b"  \r\n\r\nbody\r\n"
    ),
    "empty body": PLAIN,
    "no blank line": PLAIN[:-2],
    "body of one blank line": PLAIN + b"\r\n",
    "body of blank lines": PLAIN + b"\r\n\r\n \r\n\t\r\n",
    "body without line end": PLAIN + b"Hello",
    "body without line end, space": PLAIN + b"Hello  ",
    "trailing blank lines": PLAIN + b"Hello\r\n\r\n\r\n\r\n",
    "trailing lines of white space": PLAIN + b"Hello\r\n  \r\n\t\r\n \t \r\n",
    "8-bit body": PLAIN + b"\xe4\xf6\xfc \xff\x80\r\n",
    "8-bit and UTF-8 header": (
        "From: Jörg <shop@example.com>\r\nSubject: Grüße  aus\u00a0Köln\u3000\r\n".encode()
        + b"To: \xe4\xff <user@example.org>\r\n\r\nbody\r\n"
    ),
    "very long lines": (
        PLAIN[:-2] + b"References: " + b"<id@example.com> " * 2000 + b"\r\n\r\n" + b"x y " * 30000 + b"\r\n"
    ),
    "dots at line starts": PLAIN + b".\r\n..\r\n...a\r\n. \r\n",
    "tabs": PLAIN + b"\tindented\tby\t\ttabs\t\r\n",
    "double spaces": PLAIN + b"  two  and   three    \r\n",
    "trailing spaces": PLAIN + b"one \r\ntwo  \r\n -- \r\n",
    "vertical tab and form feed": PLAIN + b"a\x0b\x0b b\x0c\r\n\x0b\r\n",
    "repeated fields": (
        b"Reply-To: first@example.com\r\n" + PLAIN[:-2] + b"To: second@example.org\r\n"
        b"Reply-To: second@example.com\r\nto: third@example.org\r\n\r\nbody\r\n"
    ),
    "empty field": PLAIN[:-2] + b"Cc:\r\nDate: \r\nReply-To:\r\n \r\n\r\nbody\r\n",
    "all the fields": (
        b"".join(name.title() + b": " + name + b" value\r\n" for name in SIGNED if name != b"from")
        + PLAIN
        + b"x\r\n"
    ),
    "2 MB": PLAIN + (b"It is  a long\tmessage. \r\n" * 82_000),
}  # fmt: skip


def signed(content, keys=KEYS):
    """The content with signatures as a receiver gets it: the wire ends the last line."""
    header = Header.parse(content)
    body = content[header.body_offset :]
    end = b"\r\n" if body and not body.endswith(b"\r\n") else b""
    return b"".join(sign(header.fields, body, keys, NOW)) + header.to_bytes() + b"\r\n" + body + end


@pytest.mark.parametrize("name", MESSAGES)
def test_dkimpy_verifies(name):
    assert verifiers.by_dkimpy(signed(MESSAGES[name]), KEYS) == {"r1", "r2"}


@pytest.mark.skipif(not verifiers.has_mail_dkim() and not os.environ.get("CI"), reason="no Mail::DKIM")
@pytest.mark.parametrize("name", MESSAGES)
def test_mail_dkim_verifies(name, tmp_path):
    assert verifiers.by_mail_dkim(signed(MESSAGES[name]), KEYS, tmp_path) == {"r1", "r2"}


@pytest.mark.skipif(not verifiers.OPENDKIM and not os.environ.get("CI"), reason="no opendkim")
@pytest.mark.parametrize("name", MESSAGES)
def test_opendkim_verifies_both_algorithms(name, tmp_path):
    assert verifiers.by_opendkim(signed(MESSAGES[name]), KEYS, tmp_path) == {"r1", "r2", "e1"}


# Text in which all that canonicalisation looks at is dense, CRLF-clean.
TEXT = st.lists(
    st.sampled_from([b"a", b"B", b" ", b"  ", b"\t", b"\r\n", b".", b"\x0b", b"\xc3\xa4", b":"])
).map(b"".join)
VALUE = st.lists(
    st.sampled_from([b"a", b"B", b" ", b"\t", b"\r\n ", b"\r\n\t", b"\xc3\xa4", b";", b":", b"="])
).map(b"".join)
NAME = st.sampled_from(
    [b"To", b"SUBJECT", b"Cc", b"cc", b"Reply-To", b"Date", b"X-Other", b"List-Unsubscribe"]
)


@settings(max_examples=150)
@given(st.lists(st.tuples(NAME, VALUE), max_size=6), TEXT)
def test_any_message_verifies(pairs, body):
    fields = b"".join(name + b":" + value + b"\r\n" for name, value in pairs)
    content = signed(fields + b"From: shop@example.com\r\n\r\n" + body, [RSA_KEY])
    assert verifiers.by_dkimpy(content, [RSA_KEY]) == {"r1"}


@given(TEXT)
def test_body_is_canonical_as_the_rfc_says(body):
    """RFC 6376 3.4.4, step by step."""
    lines = body.split(b"\r\n")
    lines = [re.sub(rb"[ \t]+", b" ", line).removesuffix(b" ") for line in lines]
    while lines and not lines[-1]:
        lines.pop()
    expected = b"".join(line + b"\r\n" for line in lines)
    assert canonical_body(body) == expected
    assert canonical_body(expected) is expected


@given(VALUE)
def test_value_is_canonical_as_the_rfc_says(value):
    """RFC 6376 3.4.2, step by step."""
    assert canonical_value(value) == re.sub(rb"[ \t]+", b" ", value.replace(b"\r\n", b"")).strip(b" ")


@pytest.mark.parametrize(
    ("body", "canonical"),
    [
        (b"", b""),
        (b"\r\n", b""),
        (b" C \r\nD \t E\r\n\r\n\r\n", b" C\r\nD E\r\n"),  # RFC 6376 3.4.5
        (b"a", b"a\r\n"),
        (b"a\r\n", b"a\r\n"),
        (b" ", b""),
        (b"\t\r\n", b""),
        (b"ab", b"ab\r\n"),
    ],
)
def test_canonical_bodies(body, canonical):
    assert canonical_body(body) == canonical


def tags(field):
    value = re.sub(rb"\s+", b"", field.partition(b":")[2]).decode()
    return dict(tag.split("=", 1) for tag in value.split(";"))


def test_tags_of_a_signature():
    header = Header.parse(MESSAGES["repeated fields"])
    (field,) = sign(header.fields, b"body\r\n", [RSA_KEY], NOW, lifetime_s=3600)
    found = tags(field)
    assert {name: found[name] for name in "vacdstx"} == {
        "v": "1",
        "a": "rsa-sha256",
        "c": "relaxed/relaxed",
        "d": "example.com",
        "s": "r1",
        "t": str(NOW),
        "x": str(NOW + 3600),
    }
    assert found["h"] == "from:from:reply-to:reply-to:to:to:to:subject"
    assert list(found)[-1] == "b"
    assert all(len(line) <= 78 for line in field.split(b"\r\n"))
    assert field.endswith(b"\r\n")


def test_lines_stay_short_with_all_fields():
    for field in sign(Header.parse(MESSAGES["all the fields"]).fields, b"", KEYS, NOW):
        assert max(map(len, field.split(b"\r\n"))) <= 78


def test_a_second_from_breaks_the_signature():
    content = signed(PLAIN + b"body\r\n", [RSA_KEY])
    assert verifiers.by_dkimpy(content, [RSA_KEY]) == {"r1"}
    assert verifiers.by_dkimpy(b"From: other@example.net\r\n" + content, [RSA_KEY]) == set()


def test_a_changed_body_breaks_the_signature():
    content = signed(PLAIN + b"pay 10\r\n", [RSA_KEY])
    assert verifiers.by_dkimpy(content.replace(b"pay 10", b"pay 99"), [RSA_KEY]) == set()


def test_white_space_may_change_on_the_way():
    content = signed(PLAIN + b"a b\r\n", [RSA_KEY])
    changed = content.replace(b"Subject: Hello", b"subject:   Hello ").replace(
        b"a b\r\n", b"a \t b  \r\n\r\n"
    )
    assert verifiers.by_dkimpy(changed, [RSA_KEY]) == {"r1"}


def test_no_keys_no_signature():
    assert sign(Header.parse(PLAIN).fields, b"", [], NOW) == []


def test_a_chosen_list_of_fields():
    (field,) = sign(Header.parse(PLAIN).fields, b"", [RSA_KEY], NOW, order=(b"from", b"subject"))
    assert tags(field)["h"] == "from:from:subject"


class BrokenKey:
    def sign(self, *_):
        raise ValueError("hardware gone")


def test_a_key_that_cannot_sign_is_an_exception():
    broken = SigningKey("example.com", "s", RSA, BrokenKey())
    with pytest.raises(ValueError, match="hardware gone"):
        sign(Header.parse(PLAIN).fields, b"", [RSA_KEY, broken], NOW)


@pytest.mark.parametrize("body", [b"a  " * 500_000, b" " * 1_500_000, b"a \t\r\n" * 300_000])
def test_a_body_of_many_spaces_takes_no_more_memory_than_a_few_copies_of_it(body):
    tracemalloc.start()
    try:
        canonical_body(body)
        assert tracemalloc.get_traced_memory()[1] < 3 * len(body)
    finally:
        tracemalloc.stop()
