"""Where lines go: standard error, one structured line per event, key=value or JSON.

Two ways in, one format out. The stages' rare lines come through ``logging`` (module loggers with ``extra``)
and are rendered by structlog; the lines of messages, several per message, go through ``Lines``, which
formats by hand and writes many at once, since structlog's chain of processors would run for each of them.

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
from functools import partial
from typing import Any

import structlog

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


def _extra(_: Any, __: str, event: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401
    """The ``extra`` fields of a log record, and where it came from."""
    record: logging.LogRecord | None = event.get("_record")
    if record is not None:
        event["logger"] = record.name
        for key, value in record.__dict__.items():
            if key not in _STANDARD and not key.startswith("_"):
                event[key] = value
    return event


def _mark(worker: int | str, _: Any, __: str, event: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401
    event["worker"] = worker
    return event


def _render_keyvalue(_: Any, __: str, event: dict[str, Any]) -> str:  # noqa: ANN401
    trace = event.pop("exception", "")
    first: dict[str, Any] = {k: event.pop(k) for k in ("at", "level", "event") if k in event}
    line = " ".join(f"{k}={_value(v)}" for k, v in {**first, **event}.items())
    return f"{line}\n{trace}" if trace else line


def configure(level: str, form: str, worker: int | str | None = None) -> None:
    """Set up ``logging`` for this process; may be called again on reload."""
    common: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        _extra,
    ]
    if worker is not None:
        common.append(partial(_mark, worker))
    last: Any = structlog.processors.JSONRenderer(ensure_ascii=False) if form == "json" else _render_keyvalue
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=common,
        processors=[
            structlog.processors.format_exc_info,
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            last,
        ],
    )
    stream = logging.StreamHandler(sys.stderr)
    stream.setFormatter(formatter)
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
