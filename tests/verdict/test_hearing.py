"""Who wants to hear of failures and of successes by mail."""

import pytest

from relay.base.message import Recipient
from relay.base.outcome import Delivered, Failed, Onward, Reason, Scope
from relay.base.reply import Reply
from relay.verdict.hearing import hears_of_failure, hears_of_success

RELAYED, PROMISED = (
    Delivered(Reply(250, "ok"), onward=onward) for onward in (Onward.RELAYED, Onward.PROMISED)
)
NEVER = Failed(Scope.RECIPIENT, Reason.REFUSED)


@pytest.mark.parametrize(
    ("notify", "failure", "failure_without_forwarding", "success"),
    [
        ("", True, False, False),
        ("NEVER", False, False, False),
        ("DELAY", False, False, False),
        ("FAILURE", True, True, False),
        ("SUCCESS", False, False, True),
        ("SUCCESS,DELAY,FAILURE", True, True, True),
    ],
)
def test_the_table(notify: str, failure: bool, failure_without_forwarding: bool, success: bool) -> None:
    one = Recipient(0, "b@example.org", "example.org", notify)
    assert hears_of_failure(one) is failure
    assert hears_of_failure(one, is_forwarding=False) is failure_without_forwarding
    assert hears_of_success(one, RELAYED) is success
    assert hears_of_success(one, PROMISED) is False
    assert hears_of_success(one, NEVER) is False
