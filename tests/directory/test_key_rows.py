"""Three tokens of each algorithm, and another key of the same kind for one of them."""

import pytest

from relay.base.errors import DirectoryError
from relay.directory import key_rows, keys
from relay.directory.dkim_rotation import KeyRow
from relay.directory.records import KeyOrigin, KeyState
from relay.directory.secrets import Vault

VAULT = Vault(bytes(32))


def row(number: int, state: KeyState, pem: bytes, algorithm: str = keys.RSA, selector: str = "s") -> KeyRow:
    sealed = VAULT.seal(key_rows.sealed_under(selector, "example.org"), pem)
    return KeyRow(
        number, 1, "example.org", selector, algorithm, sealed, state, KeyOrigin.RELAY, False, 0.0, 0.0
    )


def test_tokens_are_three_of_each_algorithm_and_the_first_signs() -> None:
    made = key_rows.make_tokens(keys.ALGORITHMS, 1024)
    assert [key.algorithm for key in made] == [keys.RSA] * 3 + [keys.ED25519] * 3
    assert [key.state for key in made] == [KeyState.ACTIVE, KeyState.STANDBY, KeyState.STANDBY] * 2
    assert len({key.selector for key in made}) == 6
    waiting = key_rows.make_tokens([keys.ED25519], 0, is_first=False)
    assert {key.state for key in waiting} == {KeyState.STANDBY}


def test_another_key_has_the_kind_and_the_size_of_the_one_before() -> None:
    old = row(1, KeyState.RETIRED, keys.generate(keys.RSA, 1024))
    new = keys.load(key_rows.another(VAULT, old), "example.org", "s", keys.RSA)
    assert new.private.key_size == 1024
    assert keys.public_record(new) != key_rows.public_key(VAULT, old).text
    ed = row(2, KeyState.RETIRED, keys.generate(keys.ED25519), keys.ED25519)
    keys.load(key_rows.another(VAULT, ed), "example.org", "s", keys.ED25519)


def test_a_key_opens_under_its_own_selector_only() -> None:
    good = row(1, KeyState.ACTIVE, keys.generate(keys.ED25519), keys.ED25519)
    assert key_rows.open_key(VAULT, good).selector == "s"
    moved = KeyRow(1, 1, "example.org", "t", *[getattr(good, n) for n in KeyRow.__slots__[4:]])
    with pytest.raises(DirectoryError, match="does not open"):
        key_rows.open_key(VAULT, moved)


def test_those_that_sign_come_first() -> None:
    pem = keys.generate(keys.ED25519)
    states = [KeyState.RETIRED, KeyState.STANDBY, KeyState.ACTIVE, KeyState.STANDBY]
    rows = [row(number, state, pem) for number, state in enumerate(states)]
    assert [one.id for one in key_rows.in_order(rows)] == [2, 1, 3, 0]
