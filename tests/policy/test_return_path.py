"""Whose MAIL FROM receivers see, as a table; and what it costs nobody: the null reverse-path."""

import pytest

from relay.base.errors import Refused
from relay.directory.records import Identity, IdentityKind, OnMailFromFailure, RecordState
from relay.policy.return_path import domain_for

SENDER = "a@example.org"
OWN, OURS = "bounce.example.org", "bounces.relay.example"
USE_DEFAULT, REJECT = OnMailFromFailure.USE_DEFAULT, OnMailFromFailure.REJECT


def identity(
    mail_from: str = OWN,
    state: RecordState = RecordState.VERIFIED,
    on_failure: OnMailFromFailure = USE_DEFAULT,
) -> Identity:
    return Identity(
        1, 1, "example.org", IdentityKind.DOMAIN, True, True, (), mail_from, state, on_failure
    )  # fmt: skip


@pytest.mark.parametrize("default", ["", OURS])
@pytest.mark.parametrize(
    ("state", "is_used"),
    [
        (RecordState.PENDING, False),
        (RecordState.VERIFIED, True),
        (RecordState.WARNED, False),
        (RecordState.FAILED, False),
    ],
)
def test_each_state_with_each_choice(state: RecordState, is_used: bool, default: str) -> None:
    assert domain_for(identity(state=state), SENDER, default) == (OWN if is_used else default)
    strict = identity(state=state, on_failure=REJECT)
    if is_used:
        assert domain_for(strict, SENDER, default) == OWN
        return
    with pytest.raises(Refused) as refused:
        domain_for(strict, SENDER, default)
    reply = refused.value.reply
    assert (reply.code, reply.enhanced) == (554, "5.7.1")
    assert reply.text.startswith(f"Message rejected: Mail FROM domain is not verified: {OWN} ")


@pytest.mark.parametrize("default", ["", OURS])
def test_an_identity_without_one_takes_the_default(default: str) -> None:
    assert domain_for(identity(mail_from="", state=RecordState.NONE), SENDER, default) == default
    assert domain_for(None, SENDER, default) == default


def test_the_null_reverse_path_stays_null_and_is_not_refused() -> None:
    assert domain_for(identity(), "", OURS) == ""
    assert domain_for(identity(state=RecordState.FAILED, on_failure=REJECT), "", OURS) == ""
