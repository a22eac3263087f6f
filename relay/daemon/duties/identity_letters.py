"""What owners read about their identities: the link, and each step of a verification. Pure.

Each letter says what happened, what it means for sending, until when something can be done, and what. Times
are in UTC. ``Told`` of ``directory.verification`` names the steps.
"""

from __future__ import annotations

import textwrap
from datetime import UTC, datetime

from relay.directory.published import token_names
from relay.directory.records import IdentityKind
from relay.directory.verification import Settings, Standing, Told

_WIDTH = 76


def link_letter(address: str, account: str, link: str, expires_at: float) -> tuple[str, str]:
    """Subject and text of the mail with the link."""
    return f"Confirm {address} as a sender address", _text(
        f"The account {account} of this mail relay has asked to send mail as {address}.",
        "If that is your wish, open this page and press the button on it:",
        link,
        f"The link works once, until {_moment(expires_at)}. If you do not know what this is about, do "
        f"nothing: without the confirmation nobody can send as {address} here.",
    )


def letter(told: Told, standing: Standing, settings: Settings, prefix: str, now: float) -> tuple[str, str]:
    """Subject and text of what the contact of the account hears."""
    name, is_domain = standing.name, standing.kind is IdentityKind.DOMAIN
    proof = f"The record that proves {name} to be yours"
    record = f'  {token_names(name, prefix)[0]}.  TXT  "{standing.token}"'
    again = f"relay identity verify --again {name}"
    if told is Told.VERIFIED:
        what = "its subdomains" if is_domain else "its labels (name+label@)"
        return f"{name} is verified", _text(f"The account may now send from {name} and {what}.")
    if told is Told.FAILED and not is_domain:
        return f"{name} was not verified", _text(
            f"The link that was sent to {name} was not used while it worked. The account cannot "
            f"send from it.",
            f"Ask the administrator for a new link: {again}",
        )
    if told is Told.FAILED:
        return f"{name} could not be verified", _text(
            f"{proof} was not found within {settings.pending_for_s / 3600:g} hours. The account cannot send "
            f"from it. The record:",
            record,
            f"What is wrong with it, the administrator can see with: relay identity check {name}",
            f"Once it is published, ask the administrator to look for it again: {again}",
        )
    if told is Told.WARNED:
        return f"{name}: the verification will be revoked", _text(
            f"{proof} is not in the DNS any more. The account may still send from it.",
            f"If the record is not back by {_moment(now + settings.warned_for_s)}, the verification is "
            f"revoked, and mail from {name} will be refused. The record:",
            record,
        )
    if told is Told.CANCELLED:
        return f"{name}: the verification stays", _text(
            f"{proof} is in the DNS again. The warning is void; nothing changes for sending."
        )
    since = standing.missing_since
    return f"{name}: the verification is revoked", _text(
        f"{proof} has been gone {f'since {_moment(since)}' if since is not None else 'for too long'}. The "
        f"account cannot send from it any more. The record:",
        record,
        f"Once it is published, ask the administrator to look for it again: {again}",
    )


def _text(*paragraphs: str) -> str:
    """Paragraphs as lines; links and records stay whole."""
    return "\n\n".join(
        one
        if one.startswith("  ")
        else textwrap.fill(one, _WIDTH, break_long_words=False, break_on_hyphens=False)
        for one in paragraphs
    )


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
