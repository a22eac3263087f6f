"""A message from ``relay send``: the same acceptance function as every other way in, and the same limits.

What the CLI sent is checked like what a client says: an address with a line end in it would be a command to
the receiver's server. The answer is a reply code and a text; ``relay send`` makes an exit status of them.
"""

from __future__ import annotations

import asyncio
from base64 import b64decode
from typing import Any, Protocol

from relay.base.address import check_address, domain_of
from relay.base.admission import Accepted
from relay.base.errors import Refused, SpoolError
from relay.base.message import Client, Envelope, Recipient, Submission
from relay.daemon.settings.config import LimitsSection
from relay.daemon.translate import Accounts
from relay.ingress.parameters import Refusal, read_mail, read_rcpt


class Acceptance(Protocol):
    """The relay's one acceptance function."""

    def accept(self, submission: Submission) -> asyncio.Future[Accepted]:
        """The promise once the message is on disk."""
        ...


async def submit(
    fields: dict[str, Any], accounts: Accounts, intake: Acceptance, limits: LimitsSection
) -> dict[str, Any]:
    """Accept a message: ``{"code": 250, "id": ...}``, else ``{"code": ..., "text": ...}``."""
    account = accounts.account_named(fields["account"])
    if account is None:
        return {"code": 530, "text": f"no such account: {fields['account']}"}
    sender, addresses = str(fields["sender"]), [str(one) for one in fields["recipients"]]
    if len(addresses) > limits.recipients:
        return {"code": 552, "text": f"more than {limits.recipients} recipients", "enhanced": "5.5.3"}
    content = b64decode(fields["content"])
    if len(content) > limits.message_size:
        return {"code": 552, "text": f"larger than {limits.message_size} bytes"}
    if sender and (fault := _fault(sender)):
        return {"code": 501, "text": f"sender {sender!r}: {fault}"}
    for address in addresses:
        if fault := _fault(address):
            return {"code": 553, "text": f"{address!r}: {fault}"}
    is_utf8 = not "".join([sender, *addresses]).isascii()
    envelope = Envelope(sender=sender, is_8bit=True, is_utf8=is_utf8)
    try:
        read_mail(str(fields.get("mail", "")), envelope, limits.message_size)
        notify, orcpt = read_rcpt(str(fields.get("rcpt", "")))
    except Refusal:
        return {"code": 501, "text": "-N, -R, -V or --deliver-by has a value that it cannot have"}
    envelope.recipients = [
        Recipient(number, one, domain_of(one), notify, orcpt) for number, one in enumerate(addresses)
    ]
    try:
        promise = intake.accept(Submission(account.id, envelope, content, Client(protocol="local")))
        accepted = await promise
        return {"code": 250, "id": accepted.id, "text": accepted.note}
    except Refused as refused:
        reply = refused.reply
        return {"code": reply.code, "text": reply.text, "enhanced": reply.enhanced}
    except SpoolError as error:
        return {"code": 451, "text": str(error)}


def _fault(address: str) -> str:
    try:
        check_address(address)
    except ValueError as error:
        return str(error)
    return ""
