"""The log of messages: one structured line per event that matters, message id in each.

The stages write through this protocol; the daemon decides on format and stream. ``is_on`` is asked before
fields are computed on the hot path, so that a line that is not emitted costs one attribute.
"""

from __future__ import annotations

from typing import Protocol


class MessageLog(Protocol):
    """Where the stages write what happened to a message."""

    is_on: bool

    def __call__(self, event: str, message_id: str, /, **fields: object) -> None:
        """Write one line, e.g. ``log("accepted", id, account=1)``. Values are str, int or float."""
        ...


class SilentLog:
    """Writes nothing."""

    is_on = False

    def __call__(self, event: str, message_id: str, /, **fields: object) -> None:
        """Ignore the line."""
