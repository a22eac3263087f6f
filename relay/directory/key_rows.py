"""Rows of DKIM keys: made, sealed, opened.

A domain has three tokens of each algorithm, as in SES: three selectors, each with a key of its own, of which
the first signs and the others are in reserve. Selectors are random, 80 bits, so that those of all accounts
fit into one zone and none can be guessed before it is published. Making keys takes time (50 ms for RSA-2048):
it is done before the transaction that stores them, since other writers wait for that.
"""

from __future__ import annotations

import secrets as random
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from sqlalchemy.orm import Session

from relay.directory import keys
from relay.directory.dkim_records import PublicKey
from relay.directory.dkim_rotation import KeyRow
from relay.directory.models import DkimKeyTable, IdentityTable
from relay.directory.records import KeyOrigin, KeyState, SealedKey
from relay.directory.secrets import Vault

TOKENS = 3
SELECTOR_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that is not stored yet."""

    selector: str
    algorithm: str
    pem: bytes
    state: KeyState = KeyState.STANDBY
    origin: KeyOrigin = KeyOrigin.RELAY


def make_tokens(algorithms: Sequence[str], bits: int, *, is_first: bool = True) -> list[NewKey]:
    """Three keys of each algorithm; ``is_first``: one of them signs, else all wait for their records.

    Raises DirectoryError for an unknown algorithm or a size that does not serve.
    """
    return [
        NewKey(
            "".join(random.choice(SELECTOR_ALPHABET) for _ in range(16)),
            algorithm,
            keys.generate(algorithm, bits),
            KeyState.ACTIVE if is_first and number == 0 else KeyState.STANDBY,
        )
        for algorithm in algorithms
        for number in range(TOKENS)
    ]


def store(
    session: Session, vault: Vault, identity: IdentityTable, made: Sequence[NewKey], now: float
) -> None:
    """Add the rows of new keys of an identity."""
    for key in made:
        row = DkimKeyTable(
            identity_id=identity.id,
            domain=identity.name,
            selector=key.selector,
            algorithm=key.algorithm,
            private=vault.seal(sealed_under(key.selector, identity.name), key.pem),
            state=key.state,
            origin=key.origin,
            is_leaving=False,
            created_at=now,
            changed_at=now,
        )
        session.add(row)
        session.flush()  # numbers in the order given


def sealed_under(selector: str, domain: str) -> str:
    """The name that a private key is sealed under: a sealed key moved elsewhere does not open."""
    return f"{selector}._domainkey.{domain}"


def open_key(vault: Vault, sealed: SealedKey | KeyRow) -> keys.SigningKey:
    """The key of a row. Raises DirectoryError if it does not open."""
    pem = vault.unseal(sealed_under(sealed.selector, sealed.domain), sealed.private)
    return keys.load(pem, sealed.domain, sealed.selector, sealed.algorithm, is_proven=True)


def public_key(vault: Vault, row: KeyRow) -> PublicKey:
    """What is published of a row. Raises DirectoryError if it does not open."""
    text = keys.public_record(open_key(vault, row))
    return PublicKey(row.id, row.domain, row.selector, row.algorithm, row.state, row.origin, text)


def another(vault: Vault, row: KeyRow) -> bytes:
    """A new key of the same algorithm and size, as PEM."""
    private = open_key(vault, row).private
    bits = private.key_size if isinstance(private, RSAPrivateKey) else 0
    return keys.generate(row.algorithm, bits)


def row_of(row: DkimKeyTable) -> KeyRow:
    """The row as a word."""
    return KeyRow(
        id=row.id,
        identity_id=row.identity_id,
        domain=row.domain,
        selector=row.selector,
        algorithm=row.algorithm,
        private=row.private,
        state=KeyState(row.state),
        origin=KeyOrigin(row.origin),
        is_leaving=row.is_leaving,
        created_at=row.created_at,
        changed_at=row.changed_at,
    )


def in_order(rows: Sequence[KeyRow]) -> list[KeyRow]:
    """As people read them: those that sign first, by algorithm in the order they were made."""
    rank = list(KeyState)
    return sorted(rows, key=lambda row: (rank.index(row.state), row.id))
