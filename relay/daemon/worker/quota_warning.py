"""The mail that tells an account's contact how much of the sending quota is used.

The notice is a mail and an event in one transaction (``notices``); when it returns, both are on
disk. What it deliberately does not do: decide when (``relay.policy.ledger`` does, once per crossing).
"""

from __future__ import annotations

from typing import Protocol

KIND = "sending-quota"


class Notices(Protocol):
    """Mail to an account's contact."""

    async def send(
        self, account_id: int, subject: str, text: str, *, kind: str = "notice", about: str = ""
    ) -> str:
        """The id of the mail, "" if there is nobody to write to."""
        ...


async def warn_of_quota(notices: Notices, account_id: int, percent: int, used: int, quota: int) -> str:
    """Tell the contact; the id of the mail. Raises SpoolError or Refused if it could not be stored."""
    subject, text = words(percent, used, quota)
    return await notices.send(account_id, subject, text, kind=KIND, about=f"{percent}%")


def words(percent: int, used: int, quota: int) -> tuple[str, str]:
    """Subject and text."""
    counted = f"{used} of {quota} recipients of the last 24 hours are used."
    if percent < 100:
        return f"Sending quota: {percent}% used", (
            f"{counted}\n\nOnce all are, messages are treated as the account is set to:\n"
            "refused, delayed or held."
        )
    return "Sending quota: used up", (
        f"{counted}\n\nMessages are now treated as the account is set to: refused, delayed or held.\n"
        "Places come free as what was sent becomes older than 24 hours. Ask the postmaster of\n"
        "this relay if you need a larger quota."
    )
