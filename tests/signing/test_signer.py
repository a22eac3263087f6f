"""Complete content, from submission to the bytes that are sent."""

import pytest

from relay.base.message import Client, Envelope, Submission
from relay.codec.headers import Header
from relay.directory.keys import ED25519, RSA, SigningKey, generate, load
from relay.signing import dkim
from relay.signing.signer import Signer
from tests.signing import verifiers

NOW = 1_700_000_000.0
ID = "0000018bcfe56800-5b1c0000-0000-4000-8000-000000000000-000001"
CLIENT = Client("192.0.2.1", 4711, "app.example.com", "ESMTPSA")
CONTENT = (
    b"Return-Path: <x@example.com>\r\nFrom: shop@example.com\r\nTo: user@example.org\r\n"
    b"Bcc: secret@example.org\r\nDate: yesterday\r\nCC : also@example.org\r\nSubject: Hello\r\n"
    b"\r\n.dot\r\n two  spaces \r\n\r\n\r\n"
)

IDENTITY = load(generate(RSA, 1024), "example.com", "own", RSA)
IDENTITY_ED = load(generate(ED25519), "example.com", "own-ed", ED25519)
SERVICE = load(generate(RSA, 1024), "relay.example.net", "service", RSA)


def sign(signer, content=CONTENT, keys=()):
    submission = Submission(1, Envelope(), content, CLIENT)
    return signer.sign(submission, Header.parse(content), ID, NOW, keys)


def test_order_of_the_header_and_body_untouched():
    out = sign(Signer("mx.example.net", "relay.example.net", [SERVICE]), keys=[IDENTITY, IDENTITY_ED])
    header = Header.parse(out)
    assert [name for name, _ in header.fields] == [
        b"received",
        b"dkim-signature",
        b"dkim-signature",
        b"dkim-signature",
        b"from",
        b"to",
        b"date",
        b"cc",
        b"subject",
        b"message-id",
    ]
    assert out[header.body_offset :] == CONTENT[CONTENT.index(b"\r\n\r\n") + 4 :]
    signatures = header.get_all(b"dkim-signature")
    assert [b" d=example.com;" in s for s in signatures] == [True, True, False]
    assert b"s=service;" in signatures[2]
    assert header.first(b"message-id") == f"<{ID}@relay.example.net>".encode()
    assert b"secret" not in out
    keys = [IDENTITY, IDENTITY_ED, SERVICE]
    assert verifiers.by_dkimpy(out, keys) == {"own", "service"}


def test_a_message_without_keys_gets_the_service_signature():
    out = sign(Signer("mx.example.net", "relay.example.net", [SERVICE]))
    assert verifiers.by_dkimpy(out, [SERVICE]) == {"service"}


def test_no_keys_at_all():
    out = sign(Signer("mx.example.net"))
    assert b"DKIM-Signature" not in out
    assert f"Message-ID: <{ID}@mx.example.net>\r\n".encode() in out


@pytest.mark.parametrize(
    ("content", "end"),
    [
        (b"From: a@example.com\r\n", b".net>\r\n\r\n"),
        (b"From: a@example.com", b".net>\r\n\r\n"),
        (b"From: a@example.com\r\n\r\n", b".net>\r\n\r\n"),
        (b"From: a@example.com\r\n\r\n\r\n", b".net>\r\n\r\n\r\n"),
        (b"From: a@example.com\r\n\r\nend", b".net>\r\n\r\nend\r\n"),
    ],
)
def test_small_bodies(content, end):
    out = sign(Signer("mx.example.net", "", [SERVICE]), content)
    assert out.endswith(end)
    assert verifiers.by_dkimpy(out, [SERVICE]) == {"service"}


def test_lifetime():
    assert b" x=1700086400;" in sign(Signer("mx.example.net", "", [SERVICE], lifetime_s=86400))


class BrokenKey:
    def sign(self, *_):
        raise ValueError("hardware gone")


def test_a_key_that_cannot_sign_is_an_exception():
    with pytest.raises(ValueError, match="hardware gone"):
        sign(Signer("mx.example.net"), keys=[SigningKey("example.com", "s", RSA, BrokenKey())])


def test_what_the_client_signed_keeps_its_signature():
    """Also where the domain is the one that we sign for: ours stand above, its own still verifies."""
    client_key = load(generate(RSA, 1024), "example.com", "client", RSA)
    content = b"From: shop@example.com\r\nTo: user@example.org\r\nSubject: Hello\r\n\r\nHi\r\n"
    parsed = Header.parse(content)
    order = (b"from", b"to", b"subject")
    (own,) = dkim.sign(parsed.fields, b"Hi\r\n", [client_key], int(NOW), order=order)
    out = sign(Signer("mx.example.net", "relay.example.net", [SERVICE]), own + content, [IDENTITY])
    assert own in out
    assert verifiers.by_dkimpy(out, [IDENTITY, SERVICE, client_key]) == {"own", "service", "client"}
