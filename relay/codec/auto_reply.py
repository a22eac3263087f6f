"""An automatic reply: somebody is out of the office, and a program says so (RFC 3834).

Contract: ``compose`` returns complete, CRLF-clean content, from the address that answers to that of the
envelope's sender, in 7 bits unless an address itself is beyond ASCII. It says that it is one
(``Auto-Submitted: auto-replied``), refers to the message that it answers, and its subject is that message's
behind "Auto:". Nothing in that message can add a field. Date and Message-ID are set where every message gets
them, when it is signed. ``may_answer`` is whether a program may answer a message at all: none answers what a
program sent (RFC 3834 2), or two of them would go on for ever.

Pure, and not on the hot path. Deliberately not here: to whom (never to the null sender), and from which
envelope sender (the null one).
"""

from __future__ import annotations

from email.charset import QP, Charset
from email.header import Header as EncodedText

from relay.codec.headers import Header
from relay.codec.original_header import header_of, message_id_of, references_of, text_of
from relay.codec.report_words import folded, one_line

_TEXT = """\
This is an automatic reply: <{responder}> is out of the office.

Nobody is: this address belongs to the mailbox simulator of a mail relay, and
answers every message as a mailbox does whose owner is away. The message that
it answers was delivered.
"""
_SUBJECT_CHARS = 200
_QUOTED = Charset("utf-8")
_QUOTED.header_encoding = QP


def may_answer(original: bytes) -> bool:
    """Whether a message is not itself a program's answer, or its report."""
    said = text_of(header_of(original), b"auto-submitted").lower()
    return not said or said.partition(";")[0].strip() == "no"


def compose(responder: str, to: str, original: bytes) -> bytes:
    """The reply of ``responder`` to a message; ``original`` is its content, or at least its header."""
    header = header_of(original)
    lines = [
        f"From: Mailbox Simulator <{one_line(responder)}>",
        f"To: <{one_line(to)}>",
        _subject(header),
    ]
    answered = message_id_of(header)
    if answered:
        lines.append(f"In-Reply-To: {answered}")
    if references := references_of(header):
        lines.append("References: " + "\r\n ".join(references))
    lines += [
        "Auto-Submitted: auto-replied (vacation)",
        "MIME-Version: 1.0",
    ]
    is_ascii = responder.isascii()
    lines += [
        f"Content-Type: text/plain; charset={'us-ascii' if is_ascii else 'utf-8'}",
        f"Content-Transfer-Encoding: {'7bit' if is_ascii else '8bit'}",
        "",
        *_TEXT.format(responder=one_line(responder)).splitlines(),
    ]
    return "".join([f"{line}\r\n" for line in lines]).encode("utf-8", "replace")


def _subject(header: Header | None) -> str:
    subject = text_of(header, b"subject")[:_SUBJECT_CHARS]
    if subject.isascii():
        return folded("Subject", f"Auto: {subject}")
    encoded = EncodedText(f"Auto: {subject}", _QUOTED, header_name="Subject")
    return f"Subject: {encoded.encode(linesep=chr(13) + chr(10))}"
