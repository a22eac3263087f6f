"""What takes long to make and is the same for every test: the empty tables of a directory, RSA keys.

``use`` puts both in the place of the real thing, in this process: a directory in a new file begins as a copy
of one that was migrated before, and RSA keys of 2048 bits are some that are made once and go round. Not for
tests of the migrations and of the keys themselves; relays in processes of their own never see it.
"""

import os
import tempfile
from functools import cache
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from relay.directory import keys
from relay.directory.database import Database

KEYS = 6
_migrate = Database.migrate
_made: list[rsa.RSAPrivateKey] = []
_next = 0


@cache
def empty_tables() -> bytes:
    """The file of a directory in which nothing is."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/directory.db")
        _migrate(database)
        database.close()
        return Path(folder, "directory.db").read_bytes()


def migrate(database: Database) -> None:
    """``Database.migrate`` that begins with tables."""
    file = database._file
    if database._is_sqlite and not os.path.exists(file) and os.path.isdir(os.path.dirname(file)):
        with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as made:
            made.write(empty_tables())
    _migrate(database)


def generate_private_key(public_exponent: int, key_size: int) -> rsa.RSAPrivateKey:
    """An RSA key that nobody has had for the last few."""
    global _next
    if key_size != 2048:
        return rsa.generate_private_key(public_exponent, key_size)
    if len(_made) < KEYS:
        _made.append(rsa.generate_private_key(public_exponent, key_size))
        return _made[-1]
    _next = (_next + 1) % KEYS
    return _made[_next - 1]


def use(monkeypatch: pytest.MonkeyPatch) -> None:
    """See above."""
    monkeypatch.setattr(Database, "migrate", migrate)
    monkeypatch.setattr(keys, "generate_private_key", generate_private_key)
