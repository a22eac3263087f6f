"""What the server answers: the state of one SMTP dialogue and the decision for each command. No I/O.

Contract: each command is a plain method that takes the command's argument (text after the verb, decoded) and
returns the reply in both wire forms; where a command also changes what is read next (DATA, BDAT), the
method returns ``replies.GO_AHEAD`` or a ``Chunk``. The envelope under construction is the only growing thing;
it is bounded by ``max_recipients``.

The order of checks is that of RFC 5321 4.1.4: EHLO, then TLS, then AUTH, then MAIL, RCPT, DATA.

Cost on the hot path: 4-6 microseconds for MAIL, RCPT and DATA together, most of it the address parser.

It does not look at content, and it knows nothing of sockets, time or aiosmtpd.
"""

from __future__ import annotations

from dataclasses import dataclass

from relay.base.address import domain_of, parse_path
from relay.base.message import Client, Envelope, Recipient
from relay.ingress import replies
from relay.ingress.parameters import Refusal, read_mail, read_rcpt
from relay.ingress.replies import Pair, pair
from relay.ingress.settings import ListenerSettings

_MAX_SHOWN = 200  # characters of a client's own words that a reply repeats
_MAX_HELO = 255


@dataclass(frozen=True, slots=True)
class Chunk:
    """BDAT (RFC 3030): the octets that follow; ``refusal`` is the reply once they are read and dropped."""

    size_bytes: int
    is_last: bool
    refusal: Pair | None = None


class Dialogue:
    """One client's dialogue. Its mutable state is every slot but ``settings``; the session owns it."""

    __slots__ = (
        "_client",
        "account_id",
        "address",
        "credential",
        "envelope",
        "has_chunks",
        "has_failed_auth",
        "helo",
        "is_extended",
        "messages",
        "port",
        "refused_recipients",
        "settings",
        "tls",
    )

    def __init__(self, settings: ListenerSettings, address: str = "", port: int = 0, tls: str = "") -> None:
        self.settings = settings
        self.address = address
        self.port = port
        self.tls = tls  # version and cipher; empty while in clear
        self.account_id = settings.account_id if settings.auth == "none" else 0
        self.credential = ""
        self.has_failed_auth = False
        self.messages = 0
        self.forget()

    def forget(self) -> None:
        """Back to the state after the greeting, as STARTTLS demands (RFC 3207 4.2)."""
        self.helo = ""
        self.is_extended = False
        self.reset()
        self._client: Client | None = None

    def reset(self) -> None:
        """Drop the transaction (RSET, EHLO, and after each message)."""
        self.envelope: Envelope | None = None
        self.refused_recipients = 0
        self.has_chunks = False

    @property
    def is_authenticated(self) -> bool:
        """Whether the client has said who it is."""
        return bool(self.credential)

    def begin_tls(self, tls: str) -> None:
        """The session is encrypted now; nothing that was said before counts."""
        self.tls = tls
        self.forget()

    def authenticate(self, credential: str, account_id: int) -> None:
        """The client has proved a credential."""
        self.credential = credential
        self.account_id = account_id
        self._client = None

    def client(self) -> Client:
        """Who hands the message in; made once for all messages of the session (RFC 3848, RFC 6531 4.3)."""
        is_utf8 = self.envelope is not None and self.envelope.is_utf8
        if self._client is None or is_utf8:
            kind = ("UTF8SMTP" if is_utf8 else "ESMTP") if self.is_extended else "SMTP"
            protocol = kind + ("S" if self.tls else "") + ("A" if self.credential else "")
            made = Client(self.address, self.port, self.helo, protocol, self.tls, self.credential)
            if is_utf8:
                return made
            self._client = made
        return self._client

    def hello(self, argument: str, is_extended: bool) -> Pair:
        """HELO and EHLO (RFC 5321 4.1.1.1)."""
        if not argument or len(argument) > _MAX_HELO or not argument.isprintable() or " " in argument:
            return replies.SYNTAX_HELO
        self.reset()
        self._client = None
        self.helo = argument
        self.is_extended = is_extended
        if not is_extended:
            return pair(250, self.settings.hostname)
        words = [
            self.settings.hostname,
            "PIPELINING",
            f"SIZE {self.settings.max_message_bytes}",
            "8BITMIME",
            "SMTPUTF8",
            "ENHANCEDSTATUSCODES",
        ]
        if self.settings.role == "submission":  # what comes back to us goes no further as it is
            # DELIVERBY without a least time: the shorter it is, the sooner we say that we failed
            words += ["DSN", "DELIVERBY"]
        words.append("CHUNKING")
        if self.settings.tls == "starttls" and not self.tls:
            words.append("STARTTLS")
        if self.settings.auth == "required" and self.tls:
            words.append("AUTH PLAIN LOGIN")
        if self.tls:
            words.append("REQUIRETLS")
        words.append("HELP")
        return pair(250, "\n".join(words))

    def refuse_early(self) -> Pair | None:
        """Why the client may not begin a transaction yet; None if it may."""
        if self.account_id:
            return None if self.helo else replies.NEED_HELO
        if not self.helo:
            return replies.NEED_HELO
        if self.settings.auth == "none":
            return None
        if not self.tls:
            return replies.NEED_TLS
        # Sendmail goes on without AUTH where its password was refused; 530 would bounce what it has queued
        return replies.AUTH_HAS_FAILED if self.has_failed_auth else replies.NEED_AUTH

    def mail(self, argument: str) -> Pair:
        """MAIL FROM (RFC 5321 4.1.1.2)."""
        if early := self.refuse_early():
            return early
        if self.envelope is not None:
            return replies.NESTED_MAIL
        if argument[:5].upper() != "FROM:":
            return replies.SYNTAX_MAIL
        path = argument[5:].lstrip(" ")
        if not path:
            return replies.SYNTAX_MAIL
        envelope = Envelope()
        if path[:2] == "<>":
            rest = path[2:]
            if rest[:1] not in ("", " "):
                return replies.SYNTAX_MAIL
        else:
            try:
                envelope.sender, rest = parse_path(path)
            except ValueError:
                return _shown(path, "Invalid email address", "5.1.7")
        if rest:
            if not self.is_extended:
                return replies.UNKNOWN_PARAMETER
            try:
                read_mail(rest, envelope, self.settings.max_message_bytes, bool(self.tls))
            except Refusal as refusal:
                return refusal.pair
        if not envelope.is_utf8 and not argument.isascii():
            return _shown(path, "Invalid email address", "5.6.7")
        self.envelope = envelope
        return replies.SENDER_OK

    def rcpt(self, argument: str) -> Pair:
        """RCPT TO (RFC 5321 4.1.1.3)."""
        envelope = self.envelope
        if envelope is None:
            return self.refuse_early() or replies.NEED_MAIL
        if argument[:3].upper() != "TO:":
            return replies.SYNTAX_RCPT
        path = argument[3:].lstrip(" ")
        if not path:
            return replies.SYNTAX_RCPT
        if path[11:13] in (">", "> ") and path[:12].lower() == "<postmaster>" and self.settings.postmaster:
            path = f"<{self.settings.postmaster}>{path[12:]}"  # RFC 5321 4.5.1: the one name without a domain
        recipients = envelope.recipients
        if len(recipients) >= self.settings.max_recipients:
            return replies.TOO_MANY_RECIPIENTS
        notify = orcpt = ""
        try:
            address, rest = parse_path(path)
            domain = domain_of(address)
            if not domain or not (envelope.is_utf8 or argument.isascii()):
                raise ValueError("no domain, or not ASCII without SMTPUTF8")
            if rest:
                if not self.is_extended:
                    raise Refusal(replies.UNKNOWN_PARAMETER)
                notify, orcpt = read_rcpt(rest)
        except Refusal as refusal:
            self.refused_recipients += 1
            return refusal.pair
        except ValueError:
            self.refused_recipients += 1
            return _shown(path, "address unknown", "5.1.3")
        local = address[: address.rfind("@") + 1]  # RFC 5321 2.4: only the domain is in any case
        for known in recipients:
            if known.address.startswith(local) and known.domain == domain:  # named twice, delivered once
                return replies.RECIPIENT_OK
        recipients.append(Recipient(len(recipients), address, domain, notify, orcpt))
        return replies.RECIPIENT_OK

    def _refuse_content(self) -> Pair | None:
        if self.envelope is None:
            return self.refuse_early() or replies.NEED_MAIL
        if not self.envelope.recipients:
            return replies.NO_VALID_RECIPIENTS if self.refused_recipients else replies.NEED_RCPT
        return None

    def data(self, argument: str) -> Pair:
        """DATA (RFC 5321 4.1.1.4): ``replies.GO_AHEAD`` if content follows."""
        if argument:
            return replies.NO_ARGUMENT
        if refusal := self._refuse_content():
            return refusal
        if self.has_chunks:
            return replies.IN_CHUNKS
        return replies.GO_AHEAD

    def bdat(self, argument: str) -> Chunk | None:
        """BDAT (RFC 3030 2): what follows; None if that cannot be read from the argument."""
        size, _, last = argument.partition(" ")
        is_last = last.strip().upper() == "LAST"
        if not (size.isascii() and size.isdigit()) or len(size) > 15 or (last.strip() and not is_last):
            return None
        refusal = self._refuse_content()
        if refusal is None:
            self.has_chunks = True
        return Chunk(int(size), is_last, refusal)


def _shown(path: str, text: str, enhanced: str) -> Pair:
    """553 with the client's own words, cut and cleaned (RFC 6531 3.5: UTF-8 only to those who speak it)."""
    words = path.split(" ", 1)[0][:_MAX_SHOWN]
    words = "".join(letter if " " < letter < "\x7f" else "?" for letter in words)
    return pair(553, f"{words} {text}", enhanced)
