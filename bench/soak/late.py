"""Bounces that come back later: what a receiver took for ``@later.example`` returns to the relay as a report.

Reads the lines that ``bench.soak.receiver`` writes and brings each report to the inbound listener, at its
return path; one that is not taken is brought again, as a server would. ``brought`` counts those with a 250.
"""

from __future__ import annotations

import asyncio
import smtplib
from contextlib import suppress
from pathlib import Path

_EACH_S = 1.0
_BATCH = 50

_REPORT = """\
From: mailer-daemon@later.example
To: {to}
Subject: Undelivered mail
MIME-Version: 1.0
Auto-Submitted: auto-replied
Content-Type: multipart/report; report-type=delivery-status; boundary="part"

--part
Content-Type: text/plain

Your message could not be delivered.
--part
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.later.example

Final-Recipient: rfc822; {recipient}
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 No such user
--part--
"""


class Late:
    """Brings them until it is closed; ``rest`` waits until all are brought."""

    def __init__(self, lines: Path, port: int) -> None:
        self.brought = 0
        self._lines, self._port = lines, port
        self._read = 0
        self._running: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Late:
        self._running = asyncio.get_running_loop().create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._running is not None:
            self._running.cancel()
            with suppress(asyncio.CancelledError):
                await self._running

    @property
    def is_done(self) -> bool:
        """All that was written is brought."""
        return not self._lines.exists() or self._read == self._lines.stat().st_size

    async def _run(self) -> None:
        while True:
            with suppress(OSError, smtplib.SMTPException):
                await asyncio.to_thread(self._bring)
            await asyncio.sleep(_EACH_S)

    def _bring(self) -> None:
        if self.is_done:
            return
        with self._lines.open("rb") as stream:
            stream.seek(self._read)
            lines = [line for _, line in zip(range(_BATCH), stream, strict=False) if line.endswith(b"\n")]
        with smtplib.SMTP("127.0.0.1", self._port, timeout=30) as client:
            for line in lines:
                to, recipient = line.decode().split()
                report = _REPORT.format(to=to, recipient=recipient).replace("\n", "\r\n")
                client.sendmail("", [to], report.encode())
                self._read += len(line)
                self.brought += 1
