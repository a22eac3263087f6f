"""A receiver with moods: the recording sink of the crash tests, and worse. ``python -m bench.soak.receiver``

Standard input takes a mood a line; beside ``calm`` and ``wild`` (see ``tests.crash.sink``) there are

hang       says nothing any more, to anybody
throttle   421 to some connections, 451 4.7.1 to some messages
bounce     550 to one recipient in four, 554 to the content of one message in ten
reset      breaks off in the middle of the content, of one message in four

In any mood addresses ``@nobody.example`` are refused with 550 5.1.1. The return paths of what was taken for
``@later.example`` are written to ``LEDGER.later``, one line each: return path and recipient; whoever reads it
sends the bounces. With a certificate, STARTTLS is offered.
"""

from __future__ import annotations

import argparse
import os
import ssl
from pathlib import Path

import uvloop

from bench.soak.mails import LATER, NOBODY
from tests.crash import mail
from tests.crash.sink import RecordingSink, serve
from tests.fakes.sink import DROP, SILENT, Answer, Received

_NOBODY = "550 5.1.1 No such user here"


class MoodySink(RecordingSink):
    """See above."""

    def __init__(self, record: Path, seed: int, tls: ssl.SSLContext | None) -> None:
        super().__init__(record, seed, mail.fault_of, tls)
        self.mood = "calm"
        self._later = os.open(
            record.with_suffix(".later"), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600
        )  # not through ``Ledger``: two words of one line belong together

    def behave(self, mood: str) -> None:
        super().behave(mood)
        self.mood = mood

    def answer(self, key: str, ordinary: Answer) -> Answer:
        if self.mood == "hang":
            return SILENT
        if key.startswith("RCPT ") and key.endswith(f"@{NOBODY}"):
            return _NOBODY
        if self.mood == "throttle":
            if key == "GREETING" and self._happens(0.1):
                return "421 4.7.0 Too many connections, try again later"
            if key == "MAIL" and self._happens(0.1):
                return "451 4.7.1 Too much mail from you, slow down"
        elif self.mood == "bounce" and key == "RCPT" and self._happens(0.25):
            return _NOBODY
        elif self.mood == "reset" and key == "IN CONTENT" and self._happens(0.25):
            return DROP
        return super().answer(key, ordinary)

    async def at_dot(self, message: Received) -> Answer:
        if self.mood == "hang":
            return SILENT
        if self.mood == "bounce" and self._happens(0.1):
            return "554 5.6.0 Content not wanted here"
        return await super().at_dot(message)

    def _take(self, message: Received) -> None:
        super()._take(message)
        for address in message.recipients:
            if address.endswith(f"@{LATER}"):
                os.write(self._later, f"{message.sender} {address}\n".encode())

    def _happens(self, share: float) -> bool:
        return self.chance.random() < share


def main() -> None:
    """``python -m bench.soak.receiver --record FILE [--chain FILE --key FILE]``"""
    options = argparse.ArgumentParser(description="A mail server that records, and has moods.")
    options.add_argument("--port", type=int, default=0)
    options.add_argument("--record", type=Path, required=True)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--chain")
    options.add_argument("--key")
    given = options.parse_args()
    tls = None
    if given.chain:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(given.chain, given.key)
    uvloop.run(serve(MoodySink(given.record, given.seed, tls), given.port))


if __name__ == "__main__":
    main()
