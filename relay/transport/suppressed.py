"""What recipients on a suppression list are answered, in the place of a receiver.

Contract: such a recipient was stored with a domain of ``relay.base.suppression``, whose route is ``ROUTE``;
``answer`` fails it, and the failure takes the ordinary way: event, bounce and counters in one transaction.
No connection is made and no name is looked up.
"""

from __future__ import annotations

from relay.base.message import Recipient
from relay.base.outcome import Failed, Outcome, Reason, Scope
from relay.base.route import Route
from relay.base.suppression import ON_ACCOUNT_LIST_FOR_COMPLAINT, ON_SERVICE_LIST

ROUTE = Route("suppressed", ())

_SERVICE = "mail to it has bounced in the last days"
_COMPLAINT = "it has complained about mail"
_ACCOUNT = "mail to it has bounced, or an administrator has put it there"


def answer(recipient: Recipient) -> Outcome:
    """Why nothing was sent."""
    if recipient.domain == ON_SERVICE_LIST:
        return Failed(Scope.RECIPIENT, Reason.SUPPRESSED, None, _SERVICE)
    said = _COMPLAINT if recipient.domain == ON_ACCOUNT_LIST_FOR_COMPLAINT else _ACCOUNT
    return Failed(Scope.RECIPIENT, Reason.ON_ACCOUNT_LIST, None, said)
