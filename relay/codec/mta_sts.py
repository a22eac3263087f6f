"""MTA-STS as texts (RFC 8461): the TXT record that announces a policy, the policy, and what it matches.

Contract, pure. ``parse_record`` takes all TXT records of ``_mta-sts.<domain>`` and gives the id, or None
where the domain announces nothing (3.1: no record, or more than one that begins as one; a bad one counts as
none). ``parse_policy`` takes the body of the policy file and raises ValueError, with a text for people, for
what the grammar of 3.2 does not allow; fields that it does not know are skipped, a field that may stand once
counts where it stands first, ``max_age`` is held to a year. Beyond the grammar, empty lines are allowed:
text editors make them, and nothing else could be meant by them.

``matches`` compares as 4.1 says: a pattern's ``*`` stands for exactly one label, the leftmost.

Not here: fetching and keeping policies (``transport.mta_sts``), what follows from one that fails.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

MAX_AGE_S = 31_557_600  # a year (3.2)
MAX_POLICY_BYTES = 64 * 1024  # 3.3
_VERSION = "STSv1"
_RECORD_START = re.compile(r"v=STSv1[ \t]*;")
_ID = re.compile(r"[A-Za-z0-9]{1,32}")
_RECORD_FIELD = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.-]{0,31})=([\x21-\x3a\x3c\x3e-\x7e]+)")
_FIELD = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.-]{0,31}):[ \t]*(.*?)[ \t]*")
_PATTERN = re.compile(
    r"(?:\*\.)?(?=.{1,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*"
    r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
)
_DIGITS = re.compile(r"[0-9]{1,10}")


class StsMode(StrEnum):
    """What a sender does where the policy is not met."""

    ENFORCE = "enforce"  # not deliver
    TESTING = "testing"  # deliver, and report
    NONE = "none"  # as if there were no policy


_MODES = frozenset(mode.value for mode in StsMode)


@dataclass(frozen=True, slots=True)
class StsPolicy:
    """A domain's policy. ``mx`` are patterns in lower case; ``id`` is that of the record it was fetched for;
    ``lines`` is the file as it was, for reports."""

    mode: StsMode
    mx: tuple[str, ...]
    max_age_s: int
    id: str = ""
    lines: tuple[str, ...] = ()

    def matches(self, host: str) -> bool:
        """Whether a host that an MX record names is one of the policy's."""
        return any(matches(pattern, host) for pattern in self.mx)


def parse_record(texts: Iterable[str]) -> str | None:
    """The id of the policy that these TXT records announce."""
    records = [text for text in texts if _RECORD_START.match(text)]
    if len(records) != 1:
        return None
    fields = [field.strip(" \t") for field in records[0].split(";")]
    if not fields[-1]:
        fields.pop()
    found = None
    for field in fields[1:]:
        read = _RECORD_FIELD.fullmatch(field)
        if read is None:
            return None
        if read[1] == "id" and found is None:
            found = read[2]
    return found if found is not None and _ID.fullmatch(found) else None


def parse_policy(body: bytes, record_id: str = "") -> StsPolicy:
    """The policy that a file holds. Raises ValueError."""
    if len(body) > MAX_POLICY_BYTES:
        raise ValueError(f"the policy is longer than {MAX_POLICY_BYTES} bytes")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as fault:
        raise ValueError("the policy is not UTF-8") from fault
    lines = tuple(line for line in text.replace("\r\n", "\n").split("\n") if line.strip(" \t"))
    first: dict[str, str] = {}
    patterns: list[str] = []
    for line in lines:
        read = _FIELD.fullmatch(line)
        if read is None:
            raise ValueError(f"{line[:80]!r} is not a field of a policy (name: value)")
        if read[1] == "mx":
            patterns.append(_pattern(read[2]))
        else:
            first.setdefault(read[1], read[2])
    if first.get("version") != _VERSION:
        raise ValueError(f'a policy needs "version: {_VERSION}"; it has {first.get("version")!r}')
    if first.get("mode") not in _MODES:
        raise ValueError(f"a policy needs a mode (enforce, testing or none); it has {first.get('mode')!r}")
    if not _DIGITS.fullmatch(first.get("max_age", "")):
        raise ValueError(f"a policy needs a max_age in seconds; it has {first.get('max_age')!r}")
    mode = StsMode(first["mode"])
    if mode is not StsMode.NONE and not patterns:
        raise ValueError(f"a policy of mode {mode} needs an mx")
    return StsPolicy(mode, tuple(patterns), min(int(first["max_age"]), MAX_AGE_S), record_id, lines)


def matches(pattern: str, host: str) -> bool:
    """Whether a pattern covers a host name (A-labels)."""
    host = host.lower().rstrip(".")
    if pattern.startswith("*."):
        label, _, rest = host.partition(".")
        return bool(label) and rest == pattern[2:]
    return host == pattern


def _pattern(text: str) -> str:
    pattern = text.lower()
    if not _PATTERN.fullmatch(pattern):
        raise ValueError(f'{text[:80]!r} is no mx of a policy; give a host name or "*." and a domain')
    return pattern
