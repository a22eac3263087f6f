import pytest

from relay.base.errors import Refused, SpoolError, SpoolFull
from relay.base.reply import Reply
from relay.ingress.counters import Counters, counted_as


def test_refusals_are_counted_by_code_and_reason() -> None:
    counters = Counters()
    for code, why in ((554, "content"), (451, "trouble"), (554, "identity"), (554, "content")):
        counters.count_refused(code, why)
    assert counters.refused == {554: 3, 451: 1}
    assert counters.refusals == {(554, "content"): 2, (451, "trouble"): 1, (554, "identity"): 1}


def test_what_was_accepted() -> None:
    counters = Counters()
    counters.count_accepted(7, 5000, 3)
    counters.count_accepted(7, 500, 1)
    assert (counters.accepted, counters.accepted_bytes, counters.accepted_recipients) == (2, 5500, 4)
    assert counters.by_account == {7: 2}
    assert counters.message_size.counts[:3] == [1, 0, 1]


def test_versions_of_tls_are_three() -> None:
    counters = Counters()
    for described in ("TLSv1.3 TLS_AES_256_GCM_SHA384", "TLSv1.2 X", "TLSv1.3", "TLSv1.1 X", "SSLv3"):
        counters.count_tls(described)
    assert counters.tls_versions == {"TLSv1.3": 2, "TLSv1.2": 1, "other": 2}
    assert counters.tls_sessions == 5


def test_failed_logins() -> None:
    counters = Counters()
    for why in ("invalid", "limited", "invalid"):
        counters.count_auth_failure(why)
    assert (counters.auth_failures, counters.auth_refused) == (
        3,
        {"invalid": 2, "limited": 1, "unavailable": 0},
    )


@pytest.mark.parametrize(
    ("error", "counted"),
    [
        (Refused(Reply(554, "no")), (554, "content")),
        (Refused(Reply(454, "slow"), why="rate"), (454, "rate")),
        (SpoolFull("full"), (452, "room")),
        (SpoolError("broken"), (451, "trouble")),
        (ValueError("a bug"), (451, "trouble")),
    ],
)
def test_what_a_refusal_is_counted_as(error: Exception, counted: tuple[int, str]) -> None:
    assert counted_as(error) == counted
