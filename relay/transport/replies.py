"""What a peer's reply means: the table from (command, reply) to an outcome, and the sum over one transaction.

Contract, pure. Scope follows the command that was refused: greeting and EHLO say something about the site or
about us (SITE), MAIL, DATA and the dot about the message (MESSAGE), RCPT about the recipient (RECIPIENT). 4xx
defers, 5xx fails where the scope may fail: a 5xx greeting defers. 421 means the session is over, wherever it
stands (SESSION, BUSY). Codes that answer no question we asked (2xx to DATA, 354 to RCPT) are PROTOCOL, and
defer.

``judge_envelope`` takes the replies to MAIL, RCPT..., DATA in the order of the commands, pipelined or not,
possibly cut short by a lost connection, and says who was accepted, what became of the others, and whether the
content may follow. ``judge_dot`` does the same for the reply to the dot.

Not here: what a reply text says about mailboxes (stage verdict), or how to wait for it (session).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from relay.base.message import Recipient
from relay.base.outcome import Deferred, Delivered, Failed, Onward, Outcome, Peer, Reason, Scope
from relay.base.reply import Reply
from relay.transport.reply_parser import RawReply, as_reply

_BUSY = 421
_GO_AHEAD = 354


class Command(Enum):
    """What the reply answers."""

    GREETING = "greeting"
    EHLO = "EHLO"
    STARTTLS = "STARTTLS"
    AUTH = "AUTH"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    DOT = "."


_SITE_REASONS = {
    Command.GREETING: Reason.GREETING,
    Command.EHLO: Reason.GREETING,
    Command.STARTTLS: Reason.TLS,
    Command.AUTH: Reason.AUTH,
}


def refusal(command: Command, reply: Reply, peer: Peer) -> Deferred | Failed:
    """The outcome of a reply that is not the one hoped for."""
    code = reply.code
    site_reason = _SITE_REASONS.get(command)
    if site_reason is not None:
        reason = Reason.BUSY if code == _BUSY else site_reason
        return Deferred(Scope.SITE, reason, reply, f"{command.value} refused", peer)
    if code == _BUSY:
        return Deferred(Scope.SESSION, Reason.BUSY, reply, f"at {command.value}", peer)
    scope = Scope.RECIPIENT if command is Command.RCPT else Scope.MESSAGE
    if 400 <= code < 500 or (command is Command.RCPT and _is_too_many(reply)):
        return Deferred(scope, Reason.REFUSED, reply, f"at {command.value}", peer)
    if 500 <= code < 600:
        return Failed(scope, Reason.REFUSED, reply, f"at {command.value}", peer)
    if command is Command.DOT:
        # neither yes nor no to what it has: the peer may have taken the message
        return Deferred(Scope.SESSION, Reason.REPLY_LOST, reply, "no answer to the dot", peer)
    return Deferred(Scope.SESSION, Reason.PROTOCOL, reply, f"no answer to {command.value}", peer)


def _is_too_many(reply: Reply) -> bool:
    """552 to RCPT for "too many recipients" is temporary (RFC 5321 4.5.3.1.10); a full mailbox says 5.2.2."""
    return reply.code == 552 and reply.enhanced in ("", "5.5.3")


@dataclass(slots=True)
class Judged:
    """What the replies up to DATA mean.

    ``accepted`` get what the dot brings; ``outcomes`` holds all others. ``may_send``: the peer waits for
    content that someone wants. ``is_usable``: another MAIL may follow on this connection right away.
    """

    accepted: Sequence[Recipient]
    outcomes: dict[int, Outcome]
    may_send: bool
    is_usable: bool


def judge_envelope(
    recipients: Sequence[Recipient],
    replies: Sequence[RawReply],
    missing: Callable[[], Deferred],
    peer: Peer,
) -> Judged:
    """Read the replies to MAIL, one RCPT per recipient, and DATA.

    ``missing`` gives the outcome of those whose reply never came. Replies may be fewer (connection lost, or
    DATA not sent since no one was accepted) or more (the peer refused after its 354) than commands.
    """
    count = len(recipients) + 2
    if len(replies) == count and replies[-1][0] == _GO_AHEAD:
        for code, _ in replies[:-1]:
            if not 200 <= code < 300:
                break
        else:
            return Judged(recipients, {}, True, False)
    return _judge_with_refusals(recipients, replies, missing, peer)


def _judge_with_refusals(
    recipients: Sequence[Recipient], replies: Sequence[RawReply], missing: Callable[[], Deferred], peer: Peer
) -> Judged:
    busy = next((raw for raw in replies if raw[0] == _BUSY), None)
    lost = missing() if busy is None else refusal(Command.DATA, as_reply(busy), peer)
    outcomes: dict[int, Outcome] = {}
    if not replies:
        return Judged((), {r.number: lost for r in recipients}, False, False)
    if not 200 <= replies[0][0] < 300:
        outcome = refusal(Command.MAIL, as_reply(replies[0]), peer)
        # Every command has its reply and none of them opened a transaction: the next MAIL finds the peer as
        # after EHLO. After any other refusal the peer keeps a sender, and answers MAIL with 503.
        is_usable = (
            busy is None
            and len(replies) in (1, len(recipients) + 2)
            and all(code >= 400 for code, _ in replies)
        )
        return Judged((), {r.number: outcome for r in recipients}, False, is_usable)
    accepted: list[Recipient] = []
    for position, recipient in enumerate(recipients, 1):
        if position >= len(replies):
            outcomes[recipient.number] = lost
        elif 200 <= replies[position][0] < 300:
            accepted.append(recipient)
        else:
            outcomes[recipient.number] = refusal(Command.RCPT, as_reply(replies[position]), peer)
    if not accepted:
        return Judged((), outcomes, False, False)
    after = replies[len(recipients) + 1 :]
    if not after:
        verdict: Outcome = lost
    elif after[0][0] != _GO_AHEAD:
        verdict = refusal(Command.DATA, as_reply(after[0]), peer)
    elif len(after) == 1:
        return Judged(accepted, outcomes, True, False)
    else:
        verdict = early_answer(as_reply(after[1]), peer)
    for recipient in accepted:
        outcomes[recipient.number] = verdict
    return Judged((), outcomes, False, False)


def judge_dot(reply: Reply, peer: Peer, has_dsn: bool = False) -> Outcome:
    """The outcome that the reply to the dot means for all accepted recipients. ``has_dsn``: the peer was told
    in RCPT who wants to hear of success."""
    if not 200 <= reply.code < 300:
        return refusal(Command.DOT, reply, peer)
    return Delivered(reply, peer, Onward.PROMISED if has_dsn else Onward.RELAYED)


def early_answer(reply: Reply, peer: Peer) -> Outcome:
    """A reply that came before the dot was sent: a refusal counts, an acceptance cannot be one."""
    if reply.code >= 400:
        return refusal(Command.DATA, reply, peer)
    return Deferred(Scope.SESSION, Reason.PROTOCOL, reply, "a reply before the dot", peer)
