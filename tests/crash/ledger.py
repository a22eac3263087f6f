"""Append-only record files: what someone has seen, on its way to the kernel before anything follows from it.

A line is one ``os.write`` to a descriptor opened with O_APPEND, so that it survives the death of its writer,
and lines of several writers do not mix. A line is a list of addresses: each submission has recipients of its
own that no other has, hence an address names one recipient of one message for ever.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path


class Ledger:
    """One record file, open for appending."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def note(self, addresses: list[str]) -> None:
        """Record these; when this returns, only the death of the machine can undo it."""
        os.write(self._descriptor, (" ".join(addresses) + "\n").encode())

    def close(self) -> None:
        """No more lines."""
        os.close(self._descriptor)


def count(path: Path) -> Counter[str]:
    """How often each address is on record; a last line that is not complete counts as not written."""
    text = path.read_text() if path.exists() else ""
    return Counter(text[: text.rfind("\n") + 1].split())
