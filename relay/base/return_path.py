"""Our return paths: the local part that names a message, and proves that we made it.

    make("0000019a8c3b1f20-5b1c...-000001", key)   # "0000019a8c3b1f20-5b1c...-000001-mfrggzd"
    read("0000019A8C3B1F20-...", key)              # the message id, or None

Contract, pure. The form is the message id with the hyphens of its UUID left out, and seven characters of an
HMAC-SHA256 over the id: 64 octets, as many as a local part may have (RFC 5321 4.5.3.1.1), all in lower case,
since there are servers that fold the case of what they write to. ``read`` takes any case. Whoever has not
seen a return path guesses one in 2**35 tries; whoever has received the message knows it.

The key is one for all nodes that share a directory: what one has sent may come back to another.

Cost, measured: ``make`` 4 microseconds, paid only by mail whose MAIL FROM is ours.
"""

from __future__ import annotations

import base64
import hmac
import re

LENGTH = 64
PURPOSE = "return paths"  # of the key, as the directory's vault derives it

_PROOF = 7
_FORM = re.compile(r"([0-9a-f]{16})-([0-9a-f]{32})-([0-9a-f]{6})-([a-z2-7]{7})")


def make(message_id: str, key: bytes) -> str:
    """The local part of the return path of a message."""
    compact = f"{message_id[:17]}{message_id[17:53].replace('-', '')}{message_id[53:]}"
    return f"{compact}-{_proof(message_id, key)}"


def read(local: str, key: bytes) -> str | None:
    """The id of the message whose return path has this local part; None if we have not made it."""
    match = _FORM.fullmatch(local.lower())
    if match is None:
        return None
    at, uuid, shard, proof = match.groups()
    message_id = f"{at}-{uuid[:8]}-{uuid[8:12]}-{uuid[12:16]}-{uuid[16:20]}-{uuid[20:]}-{shard}"
    return message_id if hmac.compare_digest(proof, _proof(message_id, key)) else None


def has_form(local: str) -> bool:
    """Whether a local part looks like one of ours; that we made it, only ``read`` can say."""
    return _FORM.fullmatch(local.lower()) is not None


def _proof(message_id: str, key: bytes) -> str:
    digest = hmac.digest(key, message_id.encode(), "sha256")
    return base64.b32encode(digest[:5]).decode("ascii").lower()[:_PROOF]
