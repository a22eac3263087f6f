"""The ``mail`` object of notifications: what is told of the message itself.

Contract, pure: the members and their texts are SES's. A notification of an identity has ``sourceIp`` and
``callerIdentity``, and no tags; an event has tags, among them the ones that SES sets itself, and the caller
is one of these (event-publishing-retrieving-sns-examples.md). Headers are told only if they were asked for,
and only if they were kept when the message came: asking for them later does not bring them back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from relay.base.arn import account_number, identity_arn
from relay.base.events import Event
from relay.base.ids import arrival_of
from relay.codec.notification_groups import Detail, Group, detail_of

_HEADERS = ("headersTruncated", "headers", "commonHeaders")


def moment(at: object, default: float = 0.0) -> str:
    """A time as SES writes it, in UTC with milliseconds; ``default`` where there is none that can be."""
    try:
        when = datetime.fromtimestamp(round(float(at or default), 3), UTC)  # type: ignore[arg-type]
    except (OverflowError, ValueError, OSError, TypeError):
        when = datetime.fromtimestamp(round(default, 3), UTC)
    return f"{when.isoformat(timespec='milliseconds').removesuffix('+00:00')}Z"


def milliseconds(number: float | None) -> int:
    """A number as a count of them; 0 for what cannot be one."""
    try:
        return max(0, int(number or 0))
    except (OverflowError, ValueError):  # infinite, or not a number
        return 0


@dataclass(frozen=True, slots=True)
class Mail:
    """What is known of a message."""

    message_id: str
    account_id: int
    at: float
    destination: tuple[str, ...]
    detail: Detail  # of its Send event; of the event itself if that is gone

    @classmethod
    def of(cls, group: Group, send: Event | None) -> Mail:
        """The message of a group of events."""
        event = group.first
        if send is not None:
            detail = detail_of(send)
            to = tuple(map(str, detail.get("destination", ())))
            return cls(event.message_id, send.account_id, send.at, to, detail)
        try:
            at = arrival_of(event.message_id)
        except ValueError:
            at = event.at
        told = tuple(one["recipient"] for one in group.details if one.get("recipient"))
        return cls(event.message_id, event.account_id, at, told, {**group.details[0], "source": ""})

    def as_notified(self, region: str, has_headers: bool) -> dict[str, Any]:
        """As an identity tells its topics."""
        told = self._told(region)
        for member, name in (("sourceIp", "sourceIp"), ("callerIdentity", "credential")):
            if self.detail.get(name):
                told[member] = self.detail[name]
        return {**told, **(self._headers() if has_headers else {})}

    def as_event(self, region: str, has_headers: bool) -> dict[str, Any]:
        """As event publishing tells."""
        headers = dict(self._headers()) if has_headers else {}
        if headers:
            headers["commonHeaders"] = {"messageId": self.message_id, **headers["commonHeaders"]}
        return {**self._told(region), **headers, "tags": self._tags()}

    def _told(self, region: str) -> dict[str, Any]:
        told: dict[str, Any] = {
            "timestamp": moment(self.at),
            "messageId": self.message_id,
            "source": self.detail.get("source") or "",
        }
        identity = self.detail.get("identity")
        arn = self.detail.get("sourceArn") or (
            identity_arn(region, self.account_id, identity) if identity else ""
        )
        if arn:
            told["sourceArn"] = arn
        told["sendingAccountId"] = account_number(self.account_id)
        told["destination"] = list(self.destination)
        return told

    def _headers(self) -> Mapping[str, Any]:
        is_kept = all(member in self.detail for member in _HEADERS)
        return {member: self.detail[member] for member in _HEADERS} if is_kept else {}

    def _tags(self) -> dict[str, list[str]]:
        told = self.detail
        domain = str(told.get("source") or told.get("identity") or "").rpartition("@")[2]
        own = {
            "ses:source-ip": told.get("sourceIp"),
            "ses:from-domain": domain,
            "ses:caller-identity": told.get("credential"),
        }
        tags: dict[str, list[str]] = {name: [str(value)] for name, value in own.items() if value}
        return {**tags, **told.get("tags", {})}
