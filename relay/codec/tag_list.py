"""Lists of ``tag=value`` in TXT records: DKIM keys (RFC 6376 3.2) and DMARC policies (RFC 7489 6.4).

Contract: ``parse_tags`` gives names as they are and values without white space around them; one semicolon at
the end may stand. Raises ValueError, with a text for the owner of the record, for what is no such list: a
part without "=", an empty name, a tag twice.
"""

from __future__ import annotations

import re

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def parse_tags(text: str) -> dict[str, str]:
    """The tags of a record, in their order."""
    tags: dict[str, str] = {}
    parts = text.split(";")
    if not parts[-1].strip():
        parts.pop()
    for part in parts:
        name, equals, value = part.partition("=")
        name = name.strip()
        if not equals or not _NAME.fullmatch(name):
            raise ValueError(f"{part.strip()!r} is not tag=value")
        if name in tags:
            raise ValueError(f"the tag {name}= is there twice")
        tags[name] = value.strip()
    return tags
