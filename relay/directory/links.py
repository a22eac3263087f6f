"""The text behind a verification link: which identity, until when, once, and signed.

Contract: ``make`` and ``read`` are inverse to each other under one key. A text that was not made with the
key, or was changed in any place, does not read. It carries the identity's row, the time at which it runs out
and a nonce; the row holds the nonce for as long as the link was not used, so that it works once, and only the
last one that was sent.

The key is derived from the key file: whoever can read that can verify what he likes anyway. Pure.
"""

from __future__ import annotations

import base64
import hmac
import re
from dataclasses import dataclass

_SIGNATURE_BYTES = 24
_TEXT = re.compile(r"([1-9][0-9]{0,15})\.([1-9][0-9]{0,15})\.([a-z0-9]{1,64})\.([A-Za-z0-9_-]{32})")

PURPOSE = "verification link"
"""What the key is derived for."""


class LinkFault(ValueError):
    """The text is no link of ours."""


@dataclass(frozen=True, slots=True)
class Link:
    """What a link says."""

    identity_id: int
    expires_at: int  # wall-clock seconds
    nonce: str


def make(key: bytes, link: Link) -> str:
    """The text, safe in a URL."""
    said = f"{link.identity_id}.{link.expires_at}.{link.nonce}"
    return f"{said}.{_sign(key, said)}"


def read(key: bytes, text: str) -> Link:
    """What the text says. Raises LinkFault unless it is one of ours."""
    match = _TEXT.fullmatch(text)
    if match is None:
        raise LinkFault("not a verification link")
    said, _, signature = text.rpartition(".")
    if not hmac.compare_digest(_sign(key, said), signature):
        raise LinkFault("the signature is wrong")
    return Link(int(match[1]), int(match[2]), match[3])


def _sign(key: bytes, said: str) -> str:
    digest = hmac.digest(key, said.encode("ascii"), "sha256")[:_SIGNATURE_BYTES]
    return base64.urlsafe_b64encode(digest).decode("ascii")
