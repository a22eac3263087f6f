"""The pair that signs SNS envelopes."""

from pathlib import Path

import pytest

from relay.base.errors import SpoolError
from relay.daemon.sns_certificate import CERTIFICATE, KEY, load, published


def test_it_is_made_once_private_and_published_under_its_fingerprint(tmp_path: Path) -> None:
    made = load(tmp_path, "relay.example", 1_700_000_000.0)
    again = load(tmp_path, "other.example", 1_800_000_000.0)
    assert again.name == made.name
    assert (tmp_path / KEY).stat().st_mode & 0o777 == 0o600
    assert published(tmp_path, made.name) == (tmp_path / CERTIFICATE).read_bytes()
    assert published(tmp_path, "../sns.key") is None
    assert published(tmp_path / "nowhere", made.name) is None


def test_a_damaged_key_says_what_to_do(tmp_path: Path) -> None:
    load(tmp_path, "relay.example", 1_700_000_000.0)
    (tmp_path / KEY).write_text("nonsense")
    with pytest.raises(SpoolError, match="remove it and sns"):
        load(tmp_path, "relay.example", 1_700_000_000.0)
