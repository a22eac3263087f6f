"""Rules on content, as a table: the message in, the text of the refusal out."""

import base64
import quopri
from email.message import EmailMessage
from email.policy import SMTP

import pytest

from relay.base.errors import Refused
from relay.base.reply import Reply
from relay.codec.headers import Header
from relay.codec.mime import Limits
from relay.policy.content_rules import REFUSED_EXTENSIONS, MessageRules, extension_of, normal_extensions

SES = MessageRules()
EXE = "Attachments named .exe are not accepted: send the file in an archive, or a link to it."
REPORT = (
    "is not accepted. Delivery reports do not go through this relay: deliver them directly, "
    "or send the text only."
)
DATA = (
    "Data URIs are not supported in HTML. Attach the resource as a part with a Content-ID and refer to it "
    "by cid:, or link to it."
)


def refusal(content: bytes, rules: MessageRules = SES) -> str:
    """What the client is told, "" if the message passes."""
    try:
        rules.check(content, Header.parse(content))
    except Refused as refused:
        reply = refused.reply
        assert (reply.code, reply.enhanced[:3]) == (554, "5.6")
        assert reply.text.startswith("Transaction failed: ")
        assert len(reply.line()) <= 512
        return reply.text.removeprefix("Transaction failed: ")
    return ""


def message(name: str = "", *, kind: str = "text/plain") -> EmailMessage:
    made = EmailMessage()
    made["From"] = "a@example.org"
    made.set_content("text")
    if name:
        main, sub = kind.split("/")
        made.add_attachment(b"attached", main, sub, filename=name) if main != "text" else made.add_attachment(
            "attached", subtype=sub, filename=name
        )
    return made


def as_bytes(made: EmailMessage) -> bytes:
    return made.as_bytes(policy=SMTP)


@pytest.mark.parametrize("extension", sorted(REFUSED_EXTENSIONS))
def test_each_extension_of_the_list(extension: str) -> None:
    told = f"Attachments named .{extension} are not accepted: send the file in an archive, or a link to it."
    content = as_bytes(message(f"Report.{extension.upper()}"))
    assert refusal(content) == f"Illegal filename 'Report.{extension.upper()}'. {told}"


def test_the_list_is_that_of_ses() -> None:
    assert len(REFUSED_EXTENSIONS) == 90
    assert {"ade", "exe", "js", "mshxml", "vsmacros", "xnk"} <= REFUSED_EXTENSIONS


@pytest.mark.parametrize(
    "name", ["a.pdf", "a.exe.zip", "exe", "a.html", "a.docm", "command", "a.com.txt", "a.", "Übung.txt"]
)
def test_other_files_pass(name: str) -> None:
    assert refusal(as_bytes(message(name, kind="application/octet-stream"))) == ""


@pytest.mark.parametrize(
    ("field", "shown"),
    [
        ('Content-Type: application/x; name="a.exe"', "a.exe"),
        ('Content-Type: text/plain; NAME="a.exe"', "a.exe"),
        ("Content-Disposition: attachment; filename=a.exe", "a.exe"),
        ('Content-Disposition: attachment; filename="a.exe. . ."', "a.exe. . ."),
        ("Content-Disposition: inline; filename*=utf-8''%61%2Eexe", "a.exe"),
        ("Content-Disposition: attachment; filename*0=a.; filename*1=exe", "a.exe"),
        ("Content-Disposition: attachment; filename*0*=utf-8''%E2%82%AC.; filename*1=ExE", "?.ExE"),
        ('Content-Type: x/y; name="=?utf-8?B?YS5leGU=?="', "a.exe"),
        ("Content-Type: x/y; name=a.txt; name*=''b.exe", "b.exe"),
        ("Content-Disposition: attachment; filename=a.exe%E2%80%8B", ""),
        ("Content-Disposition: attachment; filename*=utf-8''a.exe%E2%80%8B", "a.exe?"),
        (f"Content-Disposition: attachment; filename={'x' * 200}.exe", "..." + "x" * 96 + ".exe"),
    ],
)
def test_file_names_of_every_form(field: str, shown: str) -> None:
    text = f"Illegal filename '{shown}'. {EXE}" if shown else ""
    part = f"From: a@example.org\r\n{field}\r\n\r\nx\r\n".encode()
    assert refusal(part) == text
    whole = (
        b"From: b@example.org\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
        + part
        + b"--b--\r\n"
    )
    assert refusal(whole) == text
    nested = b"From: c@example.org\r\nContent-Type: message/rfc822\r\n\r\n" + whole
    assert refusal(nested) == text


def test_the_list_can_be_another() -> None:
    rules = MessageRules(extensions=normal_extensions([".PDF", " zip"]))
    assert refusal(as_bytes(message("a.exe")), rules) == ""
    assert refusal(as_bytes(message("a.Pdf")), rules).startswith("Illegal filename 'a.Pdf'.")
    assert refusal(as_bytes(message("a.zip")), rules).startswith("Illegal filename 'a.zip'.")
    assert refusal(as_bytes(message("a.exe")), MessageRules(extensions=frozenset())) == ""


def report(kind: str) -> bytes:
    return (
        "From: a@example.org\r\n"
        "Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n"
        f"--b\r\n\r\ntext\r\n--b\r\nContent-Type: {kind}\r\n\r\nReporting-MTA: dns; x\r\n\r\n--b--\r\n"
    ).encode()


def test_delivery_reports() -> None:
    for kind in ("message/delivery-status", "message/global-delivery-status"):
        assert refusal(report(kind)) == f"Content type {kind} {REPORT}"
        assert refusal(report(kind.upper())) == f"Content type {kind} {REPORT}"
        assert refusal(f"From: a@example.org\r\nContent-Type: {kind}\r\n\r\nx".encode()).startswith(
            "Content type"
        )
    forwarded = b"From: a@example.org\r\nContent-Type: message/rfc822\r\n\r\n" + report(
        "message/delivery-status"
    )
    assert refusal(forwarded).startswith("Content type message/delivery-status")
    assert refusal(report("message/disposition-notification")) == ""
    assert refusal(report("message/feedback-report")) == ""


def page(html: str, encoding: str = "8bit", kind: str = "text/html") -> bytes:
    body = html.encode()
    if encoding == "base64":
        body = base64.encodebytes(body).replace(b"\n", b"\r\n")
    elif encoding == "quoted-printable":
        body = quopri.encodestring(body).replace(b"\n", b"\r\n")
    head = f"From: a@example.org\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    return head.encode() + body


@pytest.mark.parametrize("encoding", ["8bit", "base64", "quoted-printable"])
@pytest.mark.parametrize(
    ("html", "is_refused"),
    [
        (
            '<img alt="a picture that is rather long to describe in words, so that the line is folded" '
            'src="data:image/png;base64,iVBORw0KGgo=">',
            True,
        ),
        ("<img src=data:image/gif;base64,R0lGODlhAQABAAAAACw=>", True),
        ("<IMG SRC = 'DATA:image/svg+xml;charset=utf-8,%3Csvg%3E'>", True),
        ('<a href="data:,hello">x</a>', True),
        ("<p style='background: url( \"data:image/png;base64,AAAA\" )'>", True),
        ('<p style="background: url(&quot;data:image/png;base64,AAAA&quot;)">', True),
        ('<img src="cid:logo"> <p>Metadata: x, data:image/png;base64,AAAA in a text</p>', False),
        ('<p data-x="1">What the data: protocol is, and data:</p>', False),
        ('<a href="https://example.org/?x=data">the data:</a>', False),
        ('<a href="https://example.org/data:image/png,x">the data:</a>', False),
    ],
)
def test_data_uris(html: str, is_refused: bool, encoding: str) -> None:
    assert refusal(page(html, encoding)) == (DATA if is_refused else "")
    assert refusal(page(html, encoding), MessageRules(takes_data_uris=True)) == ""
    assert refusal(page(html, encoding, "text/plain")) == ""


def test_parts_and_depth() -> None:
    many = (
        "From: a@example.org\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + "--b\r\n\r\nx\r\n" * 501
    )
    assert refusal(many.encode()) == "Message has more than 500 MIME parts."
    assert refusal(many.replace("--b\r\n\r\nx\r\n", "", 1).encode()) == ""
    deep = b"From: a@example.org\r\n" + b"Content-Type: message/rfc822\r\n\r\n" * 4
    rules = MessageRules(limits=Limits(depth=3))
    assert refusal(deep, rules) == "Message has MIME parts nested deeper than 3."


def test_header_rules_can_be_switched_off_and_the_others_stay() -> None:
    twice = b"From: a@example.org\r\nSubject: a\r\nSubject: b\r\n"
    rules = MessageRules(has_header_rules=False)
    assert refusal(twice + b"\r\nx") == "Duplicate header 'Subject'."
    assert refusal(twice + b"\r\nx", rules) == ""
    assert refusal(twice + b"Content-Type: x/y; name=a.exe\r\n\r\nx", rules).startswith("Illegal filename")


def test_a_reply_fits_its_line() -> None:
    longest = max(REFUSED_EXTENSIONS, key=len)
    text = refusal(as_bytes(message("x" * 300 + "." + longest)))
    assert len(Reply(554, "Transaction failed: " + text, "5.6.1").line()) < 512


@pytest.mark.parametrize(
    ("name", "extension"),
    [("a.EXE", "exe"), ("a", ""), (".exe", "exe"), ("a.exe .", "exe"), ("a.b.c", "c"), ("", ""), ("...", "")],
)
def test_extension_of(name: str, extension: str) -> None:
    assert extension_of(name) == extension
