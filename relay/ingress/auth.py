"""AUTH PLAIN (RFC 4616) and AUTH LOGIN: the exchange, and what slows down and limits guessing. No I/O.

Contract: ``Exchange`` turns the client's words into a ``Login`` or a reply; ``*`` cancels. It never sees the
directory. ``Throttle`` counts failures per address (IPv6: per /64) and per credential in bounded tables;
a failure is answered late, and past a limit the password is not even looked at. An address from which the
credential has worked is not shut out by strangers who guess at that credential.

After a crash the counts are gone. Secrets live no longer than the call that checks them; none is logged.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections import OrderedDict
from dataclasses import dataclass, field

from relay.ingress import replies
from relay.ingress.replies import Pair


@dataclass(frozen=True, slots=True)
class Login:
    """What a client claims to be."""

    username: str
    password: str = field(repr=False)


class Exchange:
    """One AUTH command until it yields a Login or ends. Mutable: which word is awaited."""

    __slots__ = ("_awaits", "_username")

    def __init__(self) -> None:
        self._awaits = ""
        self._username = ""

    def begin(self, argument: str) -> Pair | Login:
        """``AUTH mechanism [initial-response]``: a challenge, a refusal, or all that is needed."""
        words = argument.split()
        if not words:
            return replies.AUTH_UNKNOWN
        mechanism = words[0].upper()
        if mechanism not in ("PLAIN", "LOGIN"):
            return replies.AUTH_UNKNOWN
        if len(words) > 2:
            return replies.AUTH_MALFORMED
        if mechanism == "PLAIN":
            self._awaits = "plain"
            challenge = replies.ASK_PLAIN
        else:
            self._awaits = "username"
            challenge = replies.ASK_USERNAME
        if len(words) == 1:
            return challenge
        return self.answer(b"" if words[1] == "=" else words[1].encode())  # "=" is empty: RFC 4954 4

    def answer(self, line: bytes) -> Pair | Login:
        """The client's answer to a challenge, as it stood on the line."""
        if line.strip() == b"*":
            return replies.AUTH_CANCELLED
        try:
            words = b64decode(line.strip(), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return replies.AUTH_MALFORMED
        if self._awaits == "plain":
            parts = words.split("\0")
            if len(parts) != 3 or not parts[1] or (parts[0] and parts[0] != parts[1]):
                return replies.AUTH_MALFORMED
            return Login(parts[1], parts[2])
        if self._awaits == "username":
            self._username = words
            self._awaits = "password"
            return replies.ASK_PASSWORD
        return Login(self._username, words)


def is_challenge(reply: Pair | Login) -> bool:
    """Whether the client has to answer (3yz)."""
    return not isinstance(reply, Login) and reply[0].startswith(b"334")


@dataclass(slots=True)
class _Failures:
    count: float
    at: float


class Throttle:
    """Failures of late. State: three bounded tables, oldest out first; counts halve every ``half_life_s``."""

    def __init__(
        self,
        max_per_address: int = 20,
        max_per_credential: int = 50,
        half_life_s: float = 300.0,
        delay_s: float = 0.5,
        max_delay_s: float = 10.0,
        max_entries: int = 10_000,
    ) -> None:
        self._max_per_address = max_per_address
        self._max_per_credential = max_per_credential
        self._half_life_s = half_life_s
        self._delay_s = delay_s
        self.max_delay_s = max_delay_s
        self._max_entries = max_entries
        self._by_address: OrderedDict[str, _Failures] = OrderedDict()
        self._by_credential: OrderedDict[str, _Failures] = OrderedDict()
        self._proved: OrderedDict[tuple[str, str], None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._by_address) + len(self._by_credential) + len(self._proved)

    def is_limited(self, address: str, username: str, now: float) -> bool:
        """Whether to answer without looking at the password. ``now`` is monotonic."""
        if self._count(self._by_address, address, now) > self._max_per_address - 0.5:  # a half: counts decay
            return True
        if self._count(self._by_credential, username, now) < self._max_per_credential - 0.5:
            return False
        return (address, username) not in self._proved

    def fail(self, address: str, username: str, now: float) -> float:
        """Note a failure; returns the seconds to wait before the client hears of it."""
        here = self._add(self._by_address, address, now)
        there = self._add(self._by_credential, username[:256], now)
        return float(min(self.max_delay_s, self._delay_s * 2 ** min(max(here, there / 4) - 1, 16)))

    def succeed(self, address: str, username: str) -> None:
        """Note that the credential works from there."""
        self._by_address.pop(address, None)
        self._proved[address, username] = None
        self._proved.move_to_end((address, username))
        if len(self._proved) > self._max_entries:
            self._proved.popitem(last=False)

    def _count(self, table: OrderedDict[str, _Failures], key: str, now: float) -> float:
        failures = table.get(key)
        if failures is None:
            return 0.0
        return float(failures.count * 0.5 ** ((now - failures.at) / self._half_life_s))

    def _add(self, table: OrderedDict[str, _Failures], key: str, now: float) -> float:
        count = self._count(table, key, now) + 1
        table[key] = _Failures(count, now)
        table.move_to_end(key)
        if len(table) > self._max_entries:
            table.popitem(last=False)
        return count
