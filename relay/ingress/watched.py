"""A session that somebody may watch: its trail, and what is said on it beside commands and replies.

Contract: ``_trail`` is None where nobody watches, and is then all that a line costs. ``retrace`` says anew
who watches: when the connection is made, when its client has logged in, and when a trace begins or ends. No
secret and no content gets into a trail: within AUTH a line is shown as that alone (``secured``), content as
its size.
"""

from __future__ import annotations

import asyncio

from relay.base.trace import CLIENT, NOTE, Trail
from relay.codec.trace_text import shown, shown_command, shown_content
from relay.ingress.dialogue import Dialogue
from relay.ingress.lines import LineFault
from relay.ingress.surroundings import Surroundings


class Watched:
    """The part of a connection that talks to those who watch it; ``_trail`` is its only state."""

    dialogue: Dialogue
    _around: Surroundings
    _stream: asyncio.Transport | None
    _has_eof: bool
    _is_closing: bool
    _trail: Trail | None

    def retrace(self) -> None:
        """Who watches this session now? Who comes late is told where it is."""
        traces, trail, dialogue = self._around.traces, self._trail, self.dialogue
        if self._stream is None or (not traces.active and trail is None):
            return
        own = (self._stream.get_extra_info("sockname") or ("", 0))[:2]
        verdicts = [
            (one, one.filter.of_client(dialogue.address, own, dialogue.account_id)) for one in traces.active
        ]
        if trail is None:
            trail = traces.client_trail()
        late = [trace for trace, verdict in verdicts if verdict is not False and not trail.knows(trace)]
        trail.decide(verdicts)
        self._trail = trail if trail.is_watched else None
        if late:
            self._remark(f"client {dialogue.address}:{dialogue.port} on {own[0]}:{own[1]}")
            if dialogue.tls:
                self._remark(f"TLS: {dialogue.tls}")
            if dialogue.helo:
                self._remark(f"under way, as {dialogue.helo} {dialogue.credential}".rstrip())

    def _remark(self, text: str) -> None:
        """For those who watch."""
        if self._trail is not None:
            self._trail(NOTE, shown(text))

    def _shown(self, line: bytes | LineFault) -> str:
        """What may be shown of a line that is no content."""
        return f"<a line that is none: {line}>" if isinstance(line, LineFault) else shown_command(line)

    def _trace_content(self, octets: int, *, is_complete: bool) -> None:
        trail = self._trail
        assert trail is not None
        trail.octets += octets
        if is_complete:
            trail(CLIENT, shown_content(trail.octets))
            trail.octets = 0

    def _end_trail(self, error: Exception | None) -> None:
        trail, self._trail = self._trail, None
        assert trail is not None
        if trail.octets:
            trail(CLIENT, shown_content(trail.octets, is_complete=False))
        by = "the client" if self._has_eof or not self._is_closing else "us"
        trail.end(shown(f"closed: {error}") if error is not None else f"closed by {by}")
