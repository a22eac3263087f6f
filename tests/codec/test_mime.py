"""The structure of messages: what Python's ``email`` finds on ordinary mail, and bounds on all other."""

import email
import random
import time
from email import policy as email_policy
from email.message import EmailMessage

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.codec.headers import Header
from relay.codec.mime import Entity, Limits, MimeFault, entities, needs_scan

LIMITS = Limits()


def scan(content: bytes, limits: Limits = LIMITS) -> list[Entity]:
    return entities(content, Header.parse(content), limits)


def types(content: bytes) -> list[str]:
    return [one.media_type.decode() for one in scan(content)]


def leaf(dice: random.Random) -> EmailMessage:
    part = EmailMessage()
    kind = dice.randrange(4)
    if kind == 0:
        part.set_content(dice.choice(["text\n", "", "--not a boundary\n--\n", "Zeile für Zeile\n" * 30]))
    elif kind == 1:
        part.set_content(
            "<p>html</p>\n" * dice.randrange(40), subtype="html", cte=dice.choice(["base64", None])
        )
    elif kind == 2:
        name = dice.choice(["a.pdf", "Übung mit langem Namen " * 4 + ".txt", 'q"uote.bin', "a b;c.txt"])
        part.set_content(dice.randbytes(200), "application", "octet-stream", filename=name)
    else:
        inner = tree(dice, 1)
        inner["From"] = "a@example.org"
        part.set_content(inner, disposition=dice.choice(["inline", "attachment"]))
    return part


def tree(dice: random.Random, depth: int) -> EmailMessage:
    """A random message."""
    if depth == 0 or dice.random() < 0.3:
        return leaf(dice)
    whole = EmailMessage()
    whole["Content-Type"] = f"multipart/{dice.choice(['mixed', 'alternative', 'related', 'digest'])}"
    whole.preamble = dice.choice([None, "This is MIME.\n"])
    whole.epilogue = dice.choice([None, "", "--the end\n"])
    for _ in range(dice.randrange(1, 4)):
        whole.attach(tree(dice, depth - 1))
    return whole


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32))
def test_the_same_as_python_finds(seed: int) -> None:
    message = tree(random.Random(seed), 3)
    message["From"] = "a@example.org"
    content = message.as_bytes(policy=email_policy.SMTP)
    parsed = email.message_from_bytes(content, policy=email_policy.SMTP)
    want = [(part.get_content_type(), part.get_filename()) for part in parsed.walk()]
    found = scan(content)
    got = [(one.media_type.decode(), " ".join(one.names[-1].split()) if one.names else None) for one in found]
    assert got == [(kind, name and " ".join(name.split())) for kind, name in want]
    for one, part in zip(found, parsed.walk(), strict=True):
        if not part.is_multipart():
            payload = part.get_payload(decode=True)
            assert isinstance(payload, bytes)
            assert one.decoded(content).rstrip(b"\r\n") == payload.rstrip(b"\r\n")


def multipart(
    *parts: bytes, boundary: bytes = b"b", end: bytes = b"--b--\r\n", kind: bytes = b"mixed"
) -> bytes:
    head = b"From: a@x.test\r\nContent-Type: multipart/%b; boundary=%b\r\n\r\n" % (kind, boundary)
    return head + b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts) + end


def test_forms_of_boundaries() -> None:
    text, page = b"Content-Type: text/plain\r\n\r\nx", b"Content-Type: text/html\r\n\r\nx"
    both = ["multipart/mixed", "text/plain", "text/html"]
    assert types(multipart(text, page)) == both
    assert types(multipart(text, page, end=b"")) == both  # no end
    assert types(multipart(text, page, end=b"--b-- \t\r\nContent-Type: x/y\r\n")) == both  # an epilogue
    assert types(multipart(text, page, end=b"--b--")) == both
    assert types(multipart(text + b"\r\n--bb\r\nno\r\n --b\r\nno", page)) == both  # looks like one
    assert types(multipart(text).replace(b"--b\r\n", b"--b \t \r\n")) == both[:2]
    assert types(multipart(b"\r\nno header")) == both[:2]
    assert types(multipart(b"")) == both[:2]  # neither header nor body
    assert types(multipart(b"\r\nFrom: x\r\n\r\ny", kind=b"digest"))[1] == "message/rfc822"
    assert types(multipart()) == both[:1]
    assert (
        types(b"Content-Type: multipart/mixed\r\n\r\n--b\r\n\r\n--b--\r\n") == both[:1]
    )  # no boundary named
    assert types(b"From: a\r\n") == ["text/plain"]
    assert types(b"\r\nContent-Type: text/html\r\n") == ["text/plain"]


def test_an_inner_part_ends_where_the_outer_one_does() -> None:
    inner = b"Content-Type: multipart/mixed; boundary=i\r\n\r\n--i\r\nContent-Type: text/html\r\n\r\nx"
    assert types(multipart(inner, b"Content-Type: image/png\r\n\r\nx")) == [
        "multipart/mixed",
        "multipart/mixed",
        "text/html",
        "image/png",
    ]


def test_a_message_in_a_message_in_a_message() -> None:
    inmost = b"From: c\r\nContent-Type: application/x; name=c.exe\r\n\r\nx"
    middle = b"From: b\r\nContent-Type: message/rfc822\r\n\r\n" + inmost
    found = scan(multipart(b"Content-Type: message/rfc822\r\n\r\n" + middle))
    assert [one.names for one in found if one.names] == [("c.exe",)]
    assert [one.depth for one in found] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("field", "is_needed"),
    [
        (b"Subject: x", False),
        (b"Content-Type: text/plain; charset=utf-8", False),
        (b"Content-Type:\r\n text/plain", False),
        (b"Content-Type: TEXT/PLAIN", False),
        (b"Content-Type: text/plain; NAME=a.exe", True),
        (b"Content-Type: text/html", True),
        (b"Content-Type: multipart/mixed; boundary=b", True),
        (b"Content-Disposition: inline", False),
        (b"Content-Disposition: attachment; filename=a.exe", True),
    ],
)
def test_who_needs_a_scan(field: bytes, is_needed: bool) -> None:
    assert needs_scan(Header.parse(field + b"\r\n\r\n")) is is_needed


def test_bounds() -> None:
    parts = [b"\r\nx"] * 500
    assert len(scan(multipart(*parts))) == 501
    with pytest.raises(MimeFault, match="more than 500 MIME parts"):
        scan(multipart(*parts, b""))
    nested = b"From: a\r\n" + b"Content-Type: message/rfc822\r\n\r\n" * 20
    assert len(scan(nested)) == 21
    with pytest.raises(MimeFault, match="nested deeper than 20"):
        scan(nested + b"Content-Type: message/rfc822\r\n\r\n")
    with pytest.raises(MimeFault, match="longer than 100 bytes"):
        scan(multipart(b"X: " + b"x" * 200), Limits(header_bytes=100))
    assert len(scan(multipart(b"X: y\r\n\r\n" + b"x" * 200), Limits(header_bytes=100))) == 2


def hostile() -> dict[str, bytes]:
    """Content of 8 MB that is made to hurt."""
    size = 8_000_000
    head = b"Content-Type: multipart/mixed; boundary=%b\r\n\r\n"
    deep = b"".join(b"Content-Type: multipart/mixed; boundary=%d\r\n\r\n--%d\r\n" % (n, n) for n in range(20))
    return {
        "boundaries": head % b"b" + b"--b\r\n" * (size // 5),
        "prefixes": head % b"b" + b"--bb\r\n" * (size // 6),
        "half boundaries": head % (b"-" * 60) + b"\r\n" + b"-" * size,
        "lines of dashes": head % (b"-" * 60) + b"\r\n---" * (size // 5),
        "white space": head % b"b" + b"--b" + b" " * size,
        "deep and long": deep + b"\r\n--x" * (size // 5),
        "deep and empty": deep + b"\r\n" * (size // 2),
        "messages": b"Content-Type: message/rfc822\r\n\r\n" * (size // 32),
        "no blank line": head % b"b" + b"--b\r\n" + b"X: y\r\n" * (size // 6),
        "digest": b"Content-Type: multipart/digest; boundary=b\r\n\r\n" + b"--b\r\n\r\n\r\n" * (size // 9),
    }


@pytest.mark.parametrize("name", hostile())
def test_hostile_content_costs_time_in_its_length_only(name: str) -> None:
    content = hostile()[name]
    began = time.process_time()
    try:
        found = len(scan(content))
    except MimeFault:
        found = 0
    assert time.process_time() - began < 2.0
    assert found <= 501


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                b"\r\n",
                b"--b",
                b"--",
                b" ",
                b"--c\r\n",
                b"\r\n--b\r\n",
                b"\r\n--b--\r\n",
                b"Content-Type: multipart/mixed; boundary=b\r\n\r\n",
                b"Content-Type: multipart/digest; boundary=c\r\n\r\n",
                b"Content-Type: message/rfc822\r\n\r\n",
                b"Content-Disposition: x; filename=a.exe\r\n",
                b"text",
            ]
        ),
        max_size=40,
    )
)
def test_every_entity_lies_within_the_content(pieces: list[bytes]) -> None:
    content = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"".join(pieces)
    try:
        found = scan(content)
    except MimeFault:
        return
    for one in found:
        assert 0 <= one.start <= one.end <= len(content)


def test_what_is_decoded() -> None:
    def one(encoding: bytes, body: bytes) -> bytes:
        content = b"Content-Type: text/html\r\nContent-Transfer-Encoding: %b\r\n\r\n%b" % (encoding, body)
        return scan(content)[0].decoded(content)

    assert one(b"base64", b"PHA+\r\nPC9wPg==\r\n") == b"<p></p>"
    assert one(b"base64", b"P") == b"P"  # what cannot be read stays as it is
    assert one(b"Quoted-Printable", b"a=3D=\r\nb") == b"a=b"
    assert one(b"8bit", b"=3D") == b"=3D"
