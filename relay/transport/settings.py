"""The numbers of the transport: timeouts of a session, bounds of the pools. Units are in the names.

The timeouts are those of RFC 5321 4.5.3.2; a receiver may take that long and still mean well. Who lowers them
gets duplicates: a dot whose reply was not waited for is sent again.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """One SMTP dialogue as client."""

    helo_name: str = "localhost"  # our name in EHLO; receivers want one that resolves to our address
    source_address: str = ""  # bind to it; empty lets the kernel choose
    is_private_allowed: bool = True  # hosts found by MX may have addresses that are not of the Internet
    connect_s: float = 30.0  # TCP, per address: the RFC leaves it open, and there are more addresses to try
    greeting_s: float = 300.0
    ehlo_s: float = 300.0
    tls_s: float = 60.0  # the handshake
    auth_s: float = 300.0
    mail_s: float = 300.0
    rcpt_s: float = 300.0
    data_s: float = 120.0
    block_s: float = 180.0  # one block of content accepted by the peer's TCP
    dot_s: float = 600.0  # the peer stores and may scan the message
    quit_s: float = 5.0  # the RFC asks for courtesy; a place is held meanwhile


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """All connections of one worker."""

    connections_per_site: int = 20
    connections: int = 200
    idle_s: float = 30.0  # receivers close after 30-300 s themselves; an idle connection costs them too
    messages_per_connection: int = 100  # receivers count; some defer past a hundred
    addresses_per_attempt: int = 8  # a site with more is not made reachable by its ninth address
    ceiling_s: float = 60.0  # how long a site's own refusal of more connections is believed
