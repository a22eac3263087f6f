"""Sending what a process counts to the supervisor, once a second, so that no scrape has to wait for it.

Contract: ``publish`` goes on until its task ends. What cannot be sent is not missed: the next second has
newer numbers. A bug in a reading is logged once and costs numbers, not mail.

Cost: the readings, and 0.2 ms for their JSON, once a second.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from relay.daemon.link import Link, LinkError

log = logging.getLogger(__name__)

EVERY_S = 1.0
_PATIENCE_S = 30.0

Read = Callable[[], dict[str, Any]]


async def publish(link: Link, read: Read) -> None:
    """Send readings for ever."""
    has_failed = False
    while True:
        await asyncio.sleep(EVERY_S)
        try:
            await publish_once(link, read)
        except LinkError as error:
            log.debug("readings not sent", extra={"why": str(error)})
        except Exception:
            if not has_failed:
                log.exception("readings cannot be had; the scrape shows older ones")
            has_failed = True


async def publish_once(link: Link, read: Read) -> None:
    """Send them now. Raises LinkError."""
    await link.ask("publish", _PATIENCE_S, readings=read())
