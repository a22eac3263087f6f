"""The envelope that SNS puts around a notification, for receivers that were written for it.

Contract, pure: the members and the text that is signed are those of SNS's "Notification" (signature version
2: RSASSA-PKCS1-v1_5 with SHA-256, over name and value of Message, MessageId, Subject, Timestamp, TopicArn and
Type in this order, each followed by a line feed). The notification itself is the text in ``Message``. Nothing
has to be confirmed, and ``UnsubscribeURL`` is not there: topics are made and deleted by the relay's
administrator. A library that insists on certificates from Amazon's hosts has to be told ours.

Cost: one RSA signature a post.
"""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime

_SIGNED = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
SUBJECT = "Mail relay notification"

Sign = Callable[[bytes], bytes]
"""RSASSA-PKCS1-v1_5 with SHA-256."""


def wrap(message: bytes, uid: uuid.UUID, arn: str, now: float, certificate_url: str, sign: Sign) -> bytes:
    """The envelope around a notification (UTF-8), as JSON."""
    at = datetime.fromtimestamp(round(now, 3), UTC).isoformat(timespec="milliseconds")
    members = {
        "Type": "Notification",
        "MessageId": str(uid),
        "TopicArn": arn,
        "Subject": SUBJECT,
        "Message": message.decode(),
        "Timestamp": at.replace("+00:00", "Z"),
        "SignatureVersion": "2",
    }
    members["Signature"] = base64.b64encode(sign(signed_text(members))).decode()
    members["SigningCertURL"] = certificate_url
    return json.dumps(members, separators=(",", ":")).encode()


def signed_text(members: dict[str, str]) -> bytes:
    """What the signature is over; members that are not there are left out."""
    return "".join(f"{name}\n{members[name]}\n" for name in _SIGNED if name in members).encode()


def headers(uid: uuid.UUID, arn: str) -> dict[str, str]:
    """The header fields that SNS sends along."""
    return {
        "Content-Type": "text/plain; charset=UTF-8",
        "x-amz-sns-message-type": "Notification",
        "x-amz-sns-message-id": str(uid),
        "x-amz-sns-topic-arn": arn,
    }
