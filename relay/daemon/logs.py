"""Where lines go: standard error, one structured line per event, key=value or JSON.

Two ways in, one format out. The stages' rare lines come through ``logging`` (module loggers with ``extra``);
the lines of messages, several per message, go through ``Lines``, which has no record and no handler for each
and writes many at once. No library for structured logs is used: the one at hand loaded a renderer for
terminals into each of our processes, which nobody reads at one.

A line is lost only if the process is killed before the loop's next turn; the truth is in the spool.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import sys
from datetime import UTC, datetime
from typing import Any

from relay.base.clock import Clock

_PLAIN = re.compile(r"[^\s\"=\\\x00-\x1f\x7f-\x9f]+")
# What JSON leaves as it is, and a terminal or a pager takes for a command or a line end.
_HIDDEN = {code: f"\\u{code:04x}" for code in (*range(0x7F, 0xA0), 0x2028, 0x2029)}
_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=str).encode
_STANDARD = set(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


def _value(value: object) -> str:
    """A value of a key=value line: bare where it can be, quoted as JSON where it must be."""
    text = str(value)
    return text if _PLAIN.fullmatch(text) else _json(text).translate(_HIDDEN)


class _Formatter(logging.Formatter):
    """What comes through ``logging``, as one of our lines; a traceback follows its line, or is a member."""

    def __init__(self, form: str, worker: int | str | None) -> None:
        super().__init__()
        self._is_json = form == "json"
        self._mark = {} if worker is None else {"worker": worker}

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        level, event = record.levelname.lower(), record.getMessage()
        line: dict[str, Any] = {"at": at, "level": level, "event": event, "logger": record.name}
        for key, value in record.__dict__.items():
            if key not in _STANDARD and not key.startswith("_"):
                line[key] = value
        line |= self._mark
        trace = self.formatException(record.exc_info) if record.exc_info and record.exc_info[0] else ""
        if self._is_json:
            return _json({**line, "exception": trace} if trace else line)
        text = " ".join(f"{key}={_value(value)}" for key, value in line.items())
        return f"{text}\n{trace}" if trace else text


def configure(level: str, form: str, worker: int | str | None = None) -> None:
    """Set up ``logging`` for this process; may be called again on reload."""
    stream = logging.StreamHandler(sys.stderr)
    stream.setFormatter(_Formatter(form, worker))
    root = logging.getLogger()
    root.handlers[:] = [stream]
    root.setLevel(level.upper())
    for chatty in (
        "mail.log",
        "asyncio",
        "uvicorn",
        "uvicorn.access",
        "alembic",
        "sqlalchemy",
        "httpx",
        "httpcore",
    ):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))
    logging.captureWarnings(True)


class Lines:
    """The message log of a worker (``relay.base.log.MessageLog``)."""

    def __init__(self, clock: Clock, level: str, form: str, worker: int, descriptor: int = 2) -> None:
        self._clock = clock
        self.set_form(level, form)
        self._worker = worker
        self._descriptor = descriptor
        self._waiting: list[str] = []
        self._second = 0
        self._stamp = ""

    def set_form(self, level: str, form: str) -> None:
        """Take over a level and a format, at a reload."""
        self.is_on = level in ("debug", "info")
        self._is_json = form == "json"

    def __call__(self, event: str, message_id: str, /, **fields: object) -> None:
        """Write one line about a message."""
        now = self._clock.now()
        second = int(now)
        if second != self._second:
            self._second = second
            self._stamp = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        at = f"{self._stamp}.{int(now * 1e6) % 1000000:06d}Z"
        if self._is_json:
            line = _json({"at": at, "event": event, "id": message_id, "worker": self._worker, **fields})
        else:
            parts = [f"at={at} event={event} id={message_id} worker={self._worker}"]
            for key, value in fields.items():
                if value != "":
                    parts.append(f"{key}={_value(value)}")
            line = " ".join(parts)
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self.flush)
        self._waiting.append(line)

    def flush(self) -> None:
        """Write what waits, in one system call if the reader keeps up."""
        if not self._waiting:
            return
        rest = memoryview(("\n".join(self._waiting) + "\n").encode("utf-8", "backslashreplace"))
        self._waiting.clear()
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError:  # no one reads the log: mail goes on
            pass
