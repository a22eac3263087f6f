"""A session with a server that brings mail back: for our own addresses only, without AUTH, in small numbers.

Contract: a session as any other, but for these. RCPT is judged at once by the ``Gate``: 550 5.7.1 for a
return path that we have not made, 550 5.1.1 for what is not ours or nobody reads. MAIL from anybody is taken,
the null reverse-path among them, unless more comes than may: 452 4.7.0 then, and the sender tries again. AUTH
is not known here, and STARTTLS is offered where there is a certificate, never demanded: whoever brings a
bounce is not to be turned away.

Whoever is refused many recipients in a session is guessing: each counts as a bad command.

Cost: none for sessions that submit; see ``base.inbound`` for that of a recipient.
"""

from __future__ import annotations

from relay.base.inbound import Door
from relay.ingress import replies
from relay.ingress.replies import Pair, pair
from relay.ingress.session import Session

_NOT_OURS = pair(550, "No such user here", "5.1.1")
_UNREAD = pair(550, "Nobody reads mail to this address", "5.1.1")
_FORGED = pair(550, "This return path is not one of ours", "5.7.1")
_TOO_MUCH = pair(452, "Too many messages, try again later", "4.7.0")
_REFUSALS = {Door.NOBODY: _NOT_OURS, Door.UNREAD: _UNREAD, Door.FORGED: _FORGED}


class InboundSession(Session):
    """One server's session."""

    def _refuse_client(self) -> Pair | None:
        return None

    def _mail_inbound(self, argument: str) -> Pair:
        answer = self._mail(argument)
        gate = self._around.gate
        if answer is not replies.SENDER_OK or gate is None:
            return answer
        if not gate.takes_from(self.dialogue.address, self._around.clock.monotonic()):
            self._around.counters.count_refused(452, "rate")
            self.dialogue.reset()
            return _TOO_MUCH
        return answer

    def _rcpt_inbound(self, argument: str) -> Pair:
        envelope = self.dialogue.envelope
        before = len(envelope.recipients) if envelope is not None else 0
        answer = self._rcpt(argument)
        gate = self._around.gate
        if envelope is None or len(envelope.recipients) == before:
            return answer
        recipient = envelope.recipients[-1]
        door = gate.door(recipient.address, recipient.domain) if gate is not None else Door.NOBODY
        refusal = _REFUSALS.get(door)
        if refusal is None:
            return answer
        envelope.recipients.pop()
        self.dialogue.refused_recipients += 1
        self._around.counters.count_refused(550, "recipient")
        self._bad_commands += 1
        if self._bad_commands >= self.settings.max_bad_commands:
            self._say_and_close(refusal)
        return refusal


InboundSession._acts = {
    **Session._acts,
    b"MAIL": InboundSession._mail_inbound,
    b"RCPT": InboundSession._rcpt_inbound,
}
