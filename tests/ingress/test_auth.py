from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.ingress import replies
from relay.ingress.auth import Exchange, Login, Throttle, is_challenge


def encoded(text: str) -> str:
    return b64encode(text.encode()).decode()


USER, WORD, BOTH = encoded("key"), encoded("secret"), encoded("\0key\0secret")
LOGIN = Login("key", "secret")


@pytest.mark.parametrize(
    ("argument", "answers", "result"),
    [
        (f"PLAIN {BOTH}", [], LOGIN),
        ("PLAIN", [BOTH], LOGIN),
        ("plain", [BOTH], LOGIN),
        (f"PLAIN {encoded(chr(0).join(['key', 'key', 'secret']))}", [], LOGIN),
        ("LOGIN", [USER, WORD], LOGIN),
        (f"LOGIN {USER}", [WORD], LOGIN),
        ("LOGIN", ["*"], replies.AUTH_CANCELLED),
        ("LOGIN", [USER, "*"], replies.AUTH_CANCELLED),
        ("PLAIN", ["*"], replies.AUTH_CANCELLED),
        ("PLAIN", ["!!"], replies.AUTH_MALFORMED),
        ("PLAIN", [""], replies.AUTH_MALFORMED),
        ("PLAIN =", [], replies.AUTH_MALFORMED),
        (f"PLAIN {encoded('other' + chr(0) + 'key' + chr(0) + 'secret')}", [], replies.AUTH_MALFORMED),
        (f"PLAIN {encoded('key')}", [], replies.AUTH_MALFORMED),
        ("LOGIN", [b64encode(b"\xff").decode()], replies.AUTH_MALFORMED),
        ("LOGIN a b", [], replies.AUTH_MALFORMED),
        ("CRAM-MD5", [], replies.AUTH_UNKNOWN),
        ("", [], replies.AUTH_UNKNOWN),
    ],
)
def test_exchanges(argument, answers, result):
    exchange = Exchange()
    got = exchange.begin(argument)
    for answer in answers:
        assert is_challenge(got)
        got = exchange.answer(answer.encode())
    assert got == result
    assert not is_challenge(got)


def test_prompts_are_those_that_clients_know():
    exchange = Exchange()
    assert exchange.begin("LOGIN")[0] == b"334 VXNlcm5hbWU6\r\n"
    assert exchange.answer(USER.encode())[0] == b"334 UGFzc3dvcmQ6\r\n"
    assert Exchange().begin("PLAIN")[1] == b"334 \r\n"


def test_a_password_is_not_shown():
    assert "secret" not in repr(LOGIN)


@given(st.binary(max_size=60), st.sampled_from(["PLAIN", "LOGIN"]))
def test_junk_never_raises(line, mechanism):
    exchange = Exchange()
    exchange.begin(mechanism)
    exchange.answer(line)
    exchange.answer(line)


def test_failures_are_slowed_then_limited_then_forgotten():
    throttle = Throttle(max_per_address=4, delay_s=0.5, max_delay_s=3.0, half_life_s=300)
    assert [throttle.fail("192.0.2.1", "key", 0.0) for _ in range(4)] == [0.5, 1.0, 2.0, 3.0]
    assert throttle.is_limited("192.0.2.1", "other", 0.0)
    assert not throttle.is_limited("192.0.2.2", "key", 0.0)
    assert not throttle.is_limited("192.0.2.1", "other", 100.0)
    assert throttle.fail("192.0.2.1", "key", 10_000.0) == pytest.approx(0.5, abs=0.01)


def test_strangers_who_guess_do_not_shut_the_owner_out():
    throttle = Throttle(max_per_address=5, max_per_credential=10)
    throttle.succeed("198.51.100.1", "key")
    for stranger in range(20):
        throttle.fail(f"192.0.2.{stranger}", "key", 0.0)
    assert throttle.is_limited("203.0.113.9", "key", 0.0)
    assert not throttle.is_limited("198.51.100.1", "key", 0.0)


def test_a_success_clears_the_address():
    throttle = Throttle(max_per_address=2)
    throttle.fail("192.0.2.1", "key", 0.0)
    throttle.succeed("192.0.2.1", "key")
    throttle.fail("192.0.2.1", "key", 0.0)
    assert not throttle.is_limited("192.0.2.1", "key", 0.0)


def test_tables_are_bounded():
    throttle = Throttle(max_entries=100)
    for number in range(1000):
        throttle.fail(f"a{number}", f"k{number}", 0.0)
        throttle.succeed(f"b{number}", f"k{number}")
    assert len(throttle) <= 300
