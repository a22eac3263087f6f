"""The web address of a topic: which ones are taken.

Contract, pure: https, with a host, and without user, password or fragment; plain http only to the machine
itself, for trying out. Printable ASCII, 2048 characters at most; a host in other letters is given as
A-labels. Which addresses the host may resolve to is decided when something is posted, since names move.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from relay.base.errors import DirectoryError

_LONGEST = 2048


def checked_url(text: str) -> str:
    """The address as it is stored. Raises DirectoryError if nothing may be posted to it."""
    url = text.strip()
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url or len(url) > _LONGEST:
        raise _fault(url, f"it has to be up to {_LONGEST} printable ASCII characters without blanks")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise _fault(url, str(error)) from None
    if parts.username is not None or parts.password is not None:
        raise _fault(url, "it names a user: who posts is proved by the signature, so leave that out")
    if "#" in url:
        raise _fault(url, "it has a fragment (#), which is never sent: leave that out")
    if not host or port == 0:
        raise _fault(url, "it names no host")
    if parts.scheme == "https" or (parts.scheme == "http" and _is_this_machine(host)):
        return url
    raise _fault(url, "it has to be https (http is for this machine alone, such as http://127.0.0.1:8080/)")


def _is_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _fault(url: str, why: str) -> DirectoryError:
    shown = "".join(char if " " <= char <= "~" else "?" for char in url[:200])
    return DirectoryError(f"{shown!r} cannot be a topic's address: {why}")
