"""Keys turn while mail flows: whatever is delivered verifies against what the DNS serves at that moment."""

from pathlib import Path

import pytest

from tests.fakes.prepared import Prepared
from tests.scenarios.rotation import run


@pytest.mark.timeout(300)
def test_every_message_verifies_while_keys_turn(tmp_path: Path, prepared: Prepared) -> None:
    result = run(tmp_path / "relay", prepared, messages=2000, turns=6)
    assert result.faults == []
    assert result.verified == result.messages >= 2000
    assert result.deferred > 0
    assert len(result.signed_by) >= 6  # three selectors of each of two algorithms
    assert result.renewed > 0
    # and the proof could have failed: later keys of the same selectors do not verify the earlier mail
    assert result.not_verified_by_the_last_zone > 0
