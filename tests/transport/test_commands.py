"""EHLO keywords read, and the injection of commands refused."""

import pytest

from relay.base.errors import LocalProtocolError
from relay.base.outcome import NOBODY, Reason
from relay.transport.commands import Offers, obstacle, read_offers, utf8_address_text, write_envelope, xtext
from tests.transport.peers import make_attempt

ALL = {
    "pipelining": "",
    "size": "1000",
    "8bitmime": "",
    "smtputf8": "",
    "dsn": "",
    "starttls": "",
    "auth": "PLAIN",
}


def test_offers():
    assert read_offers({}) == Offers()
    assert read_offers(ALL) == Offers(True, True, 1000, True, True, True, True, True)


@pytest.mark.parametrize("limit", ["", "0", "nonsense", "-1", "9" * 30, "1 2"])
def test_a_size_that_is_no_limit(limit):
    assert read_offers({"size": limit}).size_limit_bytes == 0


@pytest.mark.parametrize(
    ("more", "offers", "reason", "code"),
    [
        ({}, Offers(size=True, size_limit_bytes=5), Reason.SIZE, "5.3.4"),
        ({"is_8bit": True}, Offers(), Reason.UNSUPPORTED, "5.6.3"),
        ({"is_utf8": True, "is_8bit": True}, Offers(eight_bit=True), Reason.UNSUPPORTED, "5.6.7"),
    ],
)
def test_obstacles_begin_with_their_code(more, offers, reason, code):
    found = obstacle(make_attempt(**more).message, offers, NOBODY)
    assert (found.reason, found.detail[:5]) == (reason, code)
    assert obstacle(make_attempt(**more).message, read_offers({**ALL, "size": ""}), NOBODY) is None


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r", "\0"])
def test_one_command_is_never_two(end):
    for attempt in (
        make_attempt(f"a{end}@b"),
        make_attempt(sender=f"a{end}@b"),
        make_attempt("c@d", f"a{end}@b"),
    ):
        with pytest.raises(LocalProtocolError):
            write_envelope(attempt.message, attempt.recipients, Offers())


def test_xtext():
    assert xtext("a+b=c d\u017e") == "a+2Bb+3Dc+20d+C5+BE"
    assert utf8_address_text("a+b=\u017e") == "a\\x{2B}b\\x{3D}\u017e"
