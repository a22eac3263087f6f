"""The words for what comes back."""

import pytest

from relay.base.feedback import BounceClass, BounceSubType, BounceType


@pytest.mark.parametrize("kind", list(BounceType))
def test_only_a_permanent_bounce_is_hard(kind: BounceType) -> None:
    assert BounceClass(kind, BounceSubType.GENERAL).is_hard == (kind is BounceType.PERMANENT)
