"""Every fixed reply of the SMTP server, in both of its wire forms.

A ``Pair`` is (without enhanced code, with it): the second is sent once the client said EHLO, since
ENHANCEDSTATUSCODES (RFC 2034) is advertised there. Texts are those that senders to SES already know (they
come first where SES has one). Peer-facing text is bland; detail belongs in the log.

Cost on the hot path: none; the bytes are made at import.
"""

from __future__ import annotations

from typing import TypeAlias

from relay.base.reply import Reply

Pair: TypeAlias = tuple[bytes, bytes]


def pair(code: int, text: str, enhanced: str = "") -> Pair:
    """Both wire forms of a reply."""
    return Reply(code, text).line(), Reply(code, text, enhanced).line()


def pair_of(reply: Reply) -> Pair:
    """Both wire forms of a reply that a later stage gave."""
    return pair(reply.code, reply.text, reply.enhanced or f"{reply.code // 100}.0.0")


OK = pair(250, "Ok", "2.0.0")
SENDER_OK = pair(250, "Ok", "2.1.0")
RECIPIENT_OK = pair(250, "Ok", "2.1.5")
BYE = pair(221, "Bye", "2.0.0")
GO_AHEAD = pair(354, "End data with <CR><LF>.<CR><LF>")
START_TLS = pair(220, "Ready to start TLS", "2.0.0")
CANNOT_VERIFY = pair(252, "Send some mail, I'll try my best", "2.1.5")

AUTHENTICATED = pair(235, "Authentication successful.", "2.7.0")
ASK_USERNAME = pair(334, "VXNlcm5hbWU6")
ASK_PASSWORD = pair(334, "UGFzc3dvcmQ6")
ASK_PLAIN = (b"334 \r\n", b"334 \r\n")
AUTH_INVALID = pair(535, "Authentication Credentials Invalid", "5.7.8")
AUTH_UNAVAILABLE = pair(454, "Temporary authentication failure", "4.7.0")
AUTH_CANCELLED = pair(501, "Authentication cancelled", "5.7.0")
AUTH_MALFORMED = pair(501, "Cannot decode the response", "5.5.2")
AUTH_UNKNOWN = pair(504, "Unrecognized authentication type", "5.5.4")
AUTH_AGAIN = pair(503, "Already authenticated", "5.5.1")
AUTH_NOW = pair(503, "AUTH is not permitted here", "5.5.1")
AUTH_TOO_OFTEN = pair(421, "Too many authentication failures", "4.7.0")
AUTH_HAS_FAILED = pair(454, "Authentication failed earlier in this session", "4.7.0")
NEED_AUTH = pair(530, "Authentication required", "5.7.0")
NEED_TLS = pair(530, "Must issue a STARTTLS command first", "5.7.0")
NO_TLS = pair(502, "STARTTLS is not available", "5.5.1")
ACCESS_DENIED = pair(554, "Access denied: your network is not trusted here.", "5.7.1")

BUSY = pair(421, "Too many concurrent SMTP connections", "4.7.0")
STOPPING = pair(421, "Service shutting down", "4.3.2")
TIMEOUT = pair(451, "Timeout waiting for data from client", "4.4.2")
TOO_MANY_BAD = pair(421, "Too many bad commands", "4.7.0")
SESSION_ENDS = pair(421, "Session limit reached, please reconnect", "4.7.0")
TROUBLE = pair(451, "Temporary service failure", "4.3.0")
NO_ROOM = pair(452, "Insufficient system storage", "4.3.1")

UNKNOWN = pair(500, "Command not recognized", "5.5.2")
TOO_LONG_LINE = pair(500, "Line too long", "5.5.6")
BARE_CR = pair(500, "Bare <CR> in a command line", "5.5.2")
BARE_LF = pair(500, "Bare <LF> in a command line", "5.5.2")
NUL = pair(500, "<NUL> in a command line", "5.5.2")
NO_ARGUMENT = pair(501, "No argument is allowed", "5.5.4")
NOT_UTF8 = pair(501, "Argument is not UTF-8", "5.5.4")
SYNTAX_HELO = pair(501, "Syntax: HELO hostname", "5.5.4")
SYNTAX_MAIL = pair(501, "Syntax: MAIL FROM:<address> [parameters]", "5.5.4")
SYNTAX_RCPT = pair(501, "Syntax: RCPT TO:<address> [parameters]", "5.5.4")
SYNTAX_BDAT = pair(501, "Syntax: BDAT size [LAST]", "5.5.4")
NEED_HELO = pair(503, "Send EHLO first", "5.5.1")
NEED_MAIL = pair(503, "Send MAIL first", "5.5.1")
NEED_RCPT = pair(503, "Send RCPT first", "5.5.1")
NESTED_MAIL = pair(503, "Nested MAIL command", "5.5.1")
IN_CHUNKS = pair(503, "The message has begun with BDAT", "5.5.1")
NO_VALID_RECIPIENTS = pair(554, "No valid recipients", "5.5.1")
BAD_PARAMETER = pair(501, "Bad parameter", "5.5.4")
NO_TIME_LEFT = pair(501, "BY with mode R needs a time above zero", "5.5.4")
UNKNOWN_PARAMETER = pair(555, "Parameter not recognized or not implemented", "5.5.4")
TOO_MANY_RECIPIENTS = pair(452, "Too many recipients", "4.5.3")
TOO_LONG_MESSAGE = pair(552, "Message is too long.", "5.3.4")
