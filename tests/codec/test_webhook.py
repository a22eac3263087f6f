"""The proof that a post is ours: as a receiver checks it, and with openssl."""

import subprocess

import pytest

from relay.codec.webhook import ID, SIGNATURE, TIMESTAMP, TOPIC, headers, verifies
from tests.fakes.machine import need

SECRET, BODY, NOW = b"secret", b'{"notificationType":"Delivery"}', 1_700_000_000.7


def test_a_post_says_who_what_and_when() -> None:
    made = headers("news", "uid", SECRET, BODY, NOW)
    assert (made[TOPIC], made[ID], made[TIMESTAMP]) == ("news", "uid", "1700000000")
    assert made["Content-Type"].startswith("application/json")


def test_openssl_makes_the_same_signature() -> None:
    made = headers("news", "uid", SECRET, BODY, NOW)
    words = [need("openssl", "openssl"), "dgst", "-sha256", "-hmac", SECRET.decode(), "-r"]
    told = subprocess.run(words, input=b"1700000000." + BODY, capture_output=True, check=True).stdout
    assert made[SIGNATURE] == "v1=" + told.split()[0].decode()


@pytest.mark.parametrize(
    ("changes", "is_good"),
    [
        ({}, True),
        ({"body": BODY + b" "}, False),
        ({"secret": b"other"}, False),
        ({"timestamp": "1700000001"}, False),
        ({"timestamp": "soon"}, False),
        ({"signature": "v1=é"}, False),
        ({"now": NOW + 299}, True),
        ({"now": NOW + 302}, False),
        ({"now": NOW - 302}, False),
    ],
)
def test_what_a_receiver_believes(changes: dict[str, object], is_good: bool) -> None:
    made = headers("news", "uid", SECRET, BODY, NOW)
    given = {
        "secret": SECRET, "timestamp": made[TIMESTAMP], "signature": made[SIGNATURE], "body": BODY, "now": NOW
    } | changes  # fmt: skip
    assert verifies(**given) is is_good  # type: ignore[arg-type]
