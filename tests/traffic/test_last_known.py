"""A stored reply says again what it said."""

import pytest

from relay.base.outcome import Deferred, Reason, Scope
from relay.base.reply import Reply
from relay.traffic.last_known import describe, last_known


@pytest.mark.parametrize(
    "outcome",
    [
        Deferred(Scope.MESSAGE, Reason.REFUSED, Reply(450, "later", "4.2.0")),
        Deferred(Scope.MESSAGE, Reason.REFUSED, Reply(421, "busy")),
        Deferred(Scope.SITE, Reason.CONNECT, detail="no route to host"),
        Deferred(Scope.SITE, Reason.DNS_TEMPORARY, detail=""),
    ],
)
def test_there_and_back(outcome: Deferred) -> None:
    assert last_known(describe(outcome), "?") == outcome


@pytest.mark.parametrize(
    ("text", "detail"), [("", "never left"), ("site x is suspended: why: so", None), ("999 no reply", None)]
)
def test_other_texts_are_details_of_expiry(text: str, detail: str | None) -> None:
    found = last_known(text, "never left")
    assert (found.reason, found.detail) == (Reason.EXPIRED, detail or text)
