"""The self-test of a new key finds a record that is not its own."""

import pytest

from relay.base.errors import DirectoryError
from relay.directory import keys, probe

KEYS = {
    algorithm: keys.load(keys.generate(algorithm), "example.org", "s1", algorithm)
    for algorithm in keys.ALGORITHMS
}


@pytest.mark.parametrize("algorithm", keys.ALGORITHMS)
def test_a_good_key_proves_itself(algorithm: str) -> None:
    probe.prove(KEYS[algorithm])


def test_a_small_rsa_key_that_is_allowed_proves_itself() -> None:
    pem = keys.generate(keys.RSA, 1024)
    probe.prove(keys.load(pem, "example.org", "s1", keys.RSA))


@pytest.mark.parametrize("algorithm", keys.ALGORITHMS)
def test_a_record_of_another_key_is_found_out(algorithm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    other = keys.load(keys.generate(algorithm), "example.org", "s1", algorithm)
    monkeypatch.setattr(probe, "public_record", lambda key: keys.public_record(other))
    with pytest.raises(DirectoryError, match="fails its own test: remove the identity"):
        probe.prove(KEYS[algorithm])
