"""The table [reputation]."""

from pathlib import Path

import pytest

from relay.base.errors import ConfigError
from relay.daemon.settings.config import parse
from relay.daemon.translate import reputation_thresholds
from relay.verdict.reputation import Thresholds


def section(text: str) -> Thresholds:
    return reputation_thresholds(parse(f"[reputation]\n{text}\n", Path("relay.toml")).reputation)


def test_the_defaults_are_what_ses_publishes() -> None:
    assert section("") == Thresholds(0.05, 0.10, 0.001, 0.005, 1000, False, 86_400.0)


def test_what_is_set_arrives() -> None:
    found = section(
        'bounce_warn = 0.02\ncomplaint_pause = 0.01\nminimum_volume = 50\npause = true\nreview = "2d"'
    )
    assert found == Thresholds(0.02, 0.10, 0.001, 0.01, 50, True, 172_800.0)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("bounce_warn = 0.2", r"bounce_warn \(0\.2\) is above bounce_pause \(0\.1\)"),
        ("complaint_pause = 0.0001", "complaint_warn"),
        ("bounce_pause = 5", "bounce_pause"),
        ("bounce_warn = 0", "bounce_warn"),
        ("minimum_volume = 0", "minimum_volume"),
    ],
)
def test_what_makes_no_sense_is_refused(text: str, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        section(text)
