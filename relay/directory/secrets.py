"""Secrets: made, sealed at rest, and turned into SMTP passwords.

An access key id is ``RLAY`` and 16 of A-Z2-7; its secret 40 characters of base64 (240 random bits). A mail
client logs in with the key id and a password derived from the secret, by either of the two derivations that
SES has had, so that what was computed for one kind of service works with the other.

At rest every secret is sealed with AES-256-GCM under the key in the key file, bound to the name it belongs to
(associated data): a sealed secret moved to another row does not open. The key file belongs to one user, mode
0600, and a file that others can read is refused. Whoever loses it loses every secret in the directory, so it
is made only by ``create_key_file``, never in passing, and is on the disk before anything is sealed with it.

Cost: ``unseal`` 2 microseconds, both derivations together 15; paid when a snapshot is built, not per message.
Nothing here logs, and no error carries a secret.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import secrets
import stat
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from relay.base.credential import is_open_to_others
from relay.base.errors import DirectoryError

KEY_ID_PREFIX = "RLAY"
_KEY_ID_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_OLD_VERSION = b"\x02"
_NEW_VERSION = b"\x04"
_MESSAGE = b"SendRawEmail"

_KEY_BYTES = 32
_NONCE_BYTES = 12
_SEAL_VERSION = b"\x01"


def new_key_id() -> str:
    """A fresh access key id: 80 random bits after the prefix."""
    return KEY_ID_PREFIX + "".join(secrets.choice(_KEY_ID_ALPHABET) for _ in range(16))


def new_secret() -> str:
    """A fresh secret of 40 characters."""
    return base64.b64encode(secrets.token_bytes(30)).decode("ascii")


def smtp_password(secret: str, region: str) -> str:
    """The SMTP password by the derivation that depends on the region (smtp-credentials.md)."""
    digest = f"AWS4{secret}".encode()
    for part in (b"11111111", region.encode(), b"ses", b"aws4_request", _MESSAGE):
        digest = hmac.digest(digest, part, "sha256")
    return base64.b64encode(_NEW_VERSION + digest).decode("ascii")


def old_smtp_password(secret: str) -> str:
    """The SMTP password by the older derivation, the same for every region."""
    digest = hmac.digest(secret.encode(), _MESSAGE, hashlib.sha256)
    return base64.b64encode(_OLD_VERSION + digest).decode("ascii")


def create_key_file(path: Path) -> None:
    """Make the key file, mode 0600. Raises DirectoryError if there is one, or it cannot be written."""
    text = base64.b64encode(secrets.token_bytes(_KEY_BYTES)) + b"\n"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(text)
            file.flush()
            # The directory's secrets live and die with these bytes.
            os.fsync(file.fileno())  # noqa: TID251
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)  # noqa: TID251
        finally:
            os.close(folder)
    except FileExistsError:
        raise DirectoryError(f"{path}: there is a key file already; it is never overwritten") from None
    except OSError as error:
        raise DirectoryError(f"{path}: the key file cannot be made: {error.strerror}") from error


class Vault:
    """Seals and unseals with one key."""

    __slots__ = ("_cipher", "_key")

    def __init__(self, key: bytes) -> None:
        """``key`` is 32 bytes."""
        self._key = key
        self._cipher = AESGCM(key)

    @classmethod
    def open(cls, path: Path) -> Vault:
        """The vault of a key file. Raises DirectoryError if it is missing, damaged, or open to others."""
        try:
            with path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                text = file.read(256)
        except FileNotFoundError:
            raise DirectoryError(
                f"{path}: no key file; make it with `relay init`, or bring back the one that was lost"
            ) from None
        except OSError as error:
            raise DirectoryError(f"{path}: the key file cannot be read: {error.strerror}") from error
        if not stat.S_ISREG(mode):
            raise DirectoryError(
                f"{path}: the key file is not a regular file; name one in directory.key_file"
            )
        if is_open_to_others(mode, path):
            raise DirectoryError(
                f"{path}: the key file is open to others (mode {stat.S_IMODE(mode):04o}); "
                f"run `chmod 600 {path}`, and think of its keys as known if others did read it"
            )
        try:
            key = base64.b64decode(text.strip(), validate=True)
        except binascii.Error:
            key = b""
        if len(key) != _KEY_BYTES:
            raise DirectoryError(f"{path}: not a key file of this relay; bring back the one that was lost")
        return cls(key)

    def derive(self, purpose: str) -> bytes:
        """A key of 32 bytes for one other purpose (signing links); says nothing about the vault's own."""
        return hmac.digest(self._key, b"derived for\0" + purpose.encode(), "sha256")

    def seal(self, name: str, secret: bytes) -> bytes:
        """``secret`` encrypted so that it opens only under the same ``name``."""
        nonce = os.urandom(_NONCE_BYTES)
        return _SEAL_VERSION + nonce + self._cipher.encrypt(nonce, secret, name.encode())

    def unseal(self, name: str, sealed: bytes) -> bytes:
        """What was sealed. Raises DirectoryError if it was changed, moved, or sealed with another key."""
        nonce = sealed[1 : 1 + _NONCE_BYTES]
        if sealed[:1] == _SEAL_VERSION and len(nonce) == _NONCE_BYTES:
            try:
                return self._cipher.decrypt(nonce, sealed[1 + _NONCE_BYTES :], name.encode())
            except InvalidTag:
                pass
        raise DirectoryError(
            f"the secret of {name} does not open: the key file is not the one it was sealed with, "
            f"or the row is damaged; bring the right key file back, or delete and create it anew"
        )


class KeyFile:
    """A key file that is read when it is first needed, and then no more."""

    __slots__ = ("_vault", "path")

    def __init__(self, path: Path) -> None:
        self.path = path
        self._vault: Vault | None = None

    def vault(self) -> Vault:
        """Its vault. Raises DirectoryError if the file is missing, damaged, or open to others."""
        if self._vault is None:
            self._vault = Vault.open(self.path)
        return self._vault
