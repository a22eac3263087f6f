"""What an owner publishes in the DNS, as words, as lines of a zone file, and as CSV.

Contract: a ``Record`` has its name without the last dot and its value as providers' forms want it: a TXT
record's text without quotes, a CNAME's target and an MX's ``"10 host"`` without the last dot. ``zone_line``
adds the dots and the quotes, so that the line means the same below any ``$ORIGIN``.

Pure. Which records there are is the matter of those who look for them: the token that proves a domain here,
DKIM keys and MAIL FROM domains elsewhere.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass

from relay.directory.keys import zone_record


@dataclass(frozen=True, slots=True)
class Record:
    """A record to publish, and what it is good for."""

    name: str
    type: str  # "TXT", "CNAME" or "MX"
    value: str
    why: str
    also: str = ""  # another name at which it is looked for as well


def token_names(domain: str, prefix: str) -> tuple[str, ...]:
    """Where the token of a domain is looked for: below the prefix, and below it without its underscore,
    since some providers take no underscore in the name of a TXT record (seed 001)."""
    bare = prefix.removeprefix("_")
    return (f"{prefix}.{domain}",) if bare == prefix else (f"{prefix}.{domain}", f"{bare}.{domain}")


def token_records(domain: str, token: str, prefix: str) -> tuple[Record, ...]:
    """The TXT record that proves a domain; none without a token."""
    if not token:
        return ()
    name, *others = token_names(domain, prefix)
    return (Record(name, "TXT", token, "proves that the domain is yours", "".join(others)),)


def zone_line(record: Record) -> str:
    """The record as a line of a zone file."""
    if record.type == "TXT":
        return zone_record(record.name, record.value)
    return f"{record.name}. IN {record.type} {record.value}."


def csv_text(records: Iterable[Record]) -> str:
    """The records as CSV (RFC 4180) with a line of headings."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(("Record Name", "Record Type", "Record Value"))
    writer.writerows((record.name, record.type, record.value) for record in records)
    return text.getvalue()
