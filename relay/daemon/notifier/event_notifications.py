"""Events as a topic would be told of them: SES's notifications, for ``relay events tail --ses``.

Each line is one notification, of adjacent events that belong together, in the form that a topic of an
identity gets (``relay.codec.notification``); headers are in it if they were kept with the message. What SES
has no form of (Notice, Gap) is left out.

Cost: the Send event of each message is looked up once, and remembered for a while.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from relay.base.events import Event, EventKind, Logged
from relay.codec.notification import Service, notification, to_bytes
from relay.codec.notification_groups import gather
from relay.spool.event_log import EventLog

_UNTOLD = (EventKind.NOTICE, EventKind.GAP)
_REMEMBERED = 10_000


class AsNotifications:
    """Makes notifications of what is in a log."""

    def __init__(self, log: EventLog, service: Service) -> None:
        self._log = log
        self._service = service
        self._send_of = lru_cache(_REMEMBERED)(self._look_up)

    def lines(self, events: Iterable[Logged]) -> list[str]:
        """A JSON object for each notification. Raises SpoolError."""
        told = [one.event for one in events if one.event.kind not in _UNTOLD]
        found = []
        for group in gather(told):
            send = self._send_of(group.first.message_id)
            found.append(to_bytes(notification(group, send, self._service, has_headers=True)).decode())
        return found

    def _look_up(self, message_id: str) -> Event | None:
        try:
            found = self._log.of_message(message_id, has_deliveries=False)
        except ValueError:  # an event about no message
            return None
        return next((one.event for one in found if one.event.kind is EventKind.SEND), None)
