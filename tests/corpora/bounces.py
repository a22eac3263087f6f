"""How well mails that came back are read: figures on a corpus of 126 real ones.

The corpus (``../shared/corpora/bounces``; its LICENSE is beside it) has for each mail what is expected of it:
per recipient a status, a reply code, a reason and whether the bounce is hard. Addresses are not in it; they
are in ``bounce_recipients.json`` here, read out of the mails by hand. For nine mails it expects nothing; of
these only the addresses are counted, on a line of their own.

How each figure is computed, over the recipients that are expected (what is named beyond that counts as one
more, wrong):

recipients   the address is named, by the mail that it is expected of
statuses     and its status is the expected one. Third numbers from 900 on are no statuses of RFC 3463 but the
             corpus' own, for mails that have none: then "" or x.0.0 of the same class is right, and no other
both         recipients whose address and status are right; the first bar is on these
hard         whether it takes the address out of service, as expected
not wrongly hard   all but the worst mistake: judged hard, and expected not to be
replies      the code of the reply that is quoted, "" for none; without a bar

"RFC 3464" are the mails that have a message/delivery-status part, by a line in them; "free text" the other
bounces. Complaints and automatic replies count as right when their kind is; a hard one among them fails all.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from relay.base.feedback import Report, ReportedRecipient, ReportKind
from relay.codec.report import read
from relay.verdict.bounce_class import classify_reported

FOLDER = Path(__file__).parents[2].parent / "shared" / "corpora" / "bounces"
KINDS = {"feedback": ReportKind.COMPLAINT, "vacation": ReportKind.AUTO_REPLY}
_STATUS_PART = re.compile(
    rb"^content-type:\s*message/(global-)?delivery-status", re.IGNORECASE | re.MULTILINE
)
# family, figure, the least per cent
BARS = (
    ("RFC 3464", "both", 97.0),
    ("RFC 3464", "hard", 95.0),
    ("free text", "recipients", 75.0),
    ("complaints", "kind", 100.0),
    ("automatic replies", "kind", 100.0),
)


@dataclass(slots=True)
class Figures:
    """Of one family: of how many, and how many of them are right, by figure."""

    mails: int = 0
    of: int = 0
    right: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def count(self, figure: str, is_right: bool, told: str = "") -> None:
        """One more; ``told`` says what is wrong about it."""
        self.right[figure] = self.right.get(figure, 0) + is_right
        if not is_right and told:
            self.wrong.append(f"{figure}: {told}")

    def percent(self, figure: str) -> float:
        """How many of a hundred are right."""
        return 100.0 * self.right.get(figure, 0) / self.of if self.of else 0.0


@cache
def mails() -> dict[str, bytes]:
    """The mails by name."""
    return {path.stem: path.read_bytes() for path in sorted(FOLDER.glob("*.eml"))}


@cache
def expected() -> dict[str, list[dict[str, str | bool]] | None]:
    """What the corpus expects of each."""
    found: dict[str, list[dict[str, str | bool]] | None] = json.loads((FOLDER / "expected.json").read_text())
    return found


@cache
def addresses() -> dict[str, list[str]]:
    """The recipients of each mail, in the order of what is expected of them."""
    found: dict[str, list[str]] = json.loads(Path(__file__).with_name("bounce_recipients.json").read_text())
    return found


def family(name: str) -> str:
    """Which family a mail belongs to, by what is expected of it and by a line in it."""
    wanted = expected()[name]
    if wanted is None:
        return "not expected"
    kind = KINDS.get(str(wanted[0]["reason"]))
    if kind is not None:
        return "complaints" if kind is ReportKind.COMPLAINT else "automatic replies"
    return "RFC 3464" if _STATUS_PART.search(mails()[name]) else "free text"


def measure() -> dict[str, Figures]:
    """The figures of each family."""
    found: dict[str, Figures] = {}
    for name, content in mails().items():
        figures = found.setdefault(family(name), Figures())
        figures.mails += 1
        _count(figures, name, read(content))
    return found


def _count(figures: Figures, name: str, report: Report) -> None:
    wanted, named = expected()[name], addresses()[name]
    if wanted is not None and (kind := KINDS.get(str(wanted[0]["reason"]))):
        figures.of += 1
        figures.count("kind", report.kind is kind, f"{name} is {report.kind}")
        figures.count("recipients", [one.address for one in report.recipients] == named, name)
        return
    by_address = {one.address: one for one in report.recipients}
    extra = max(0, len(report.recipients) - len(named))
    figures.of += len(named) + extra
    if extra:
        figures.wrong.append(f"recipients: {name} names {extra} too many")
    for place, address in enumerate(named):
        one = by_address.get(address)
        figures.count("recipients", one is not None, f"{name} does not name {address}")
        if one is None:
            figures.count("not wrongly hard", True)
        elif wanted is not None:
            _compare(figures, f"{name} {address}", one, wanted[place])


def _compare(figures: Figures, name: str, one: ReportedRecipient, wanted: dict[str, str | bool]) -> None:
    status = str(wanted["status"])
    is_right = is_same_status(one.status, status)
    figures.count("statuses", is_right, f"{name} has {one.status or 'none'}, not {status}")
    figures.count("both", is_right)
    verdict = classify_reported(one)
    said = f"{name} is {verdict.type}/{verdict.subtype}, though {wanted['reason']}"
    figures.count("hard", verdict.is_hard == wanted["hard"], said)
    figures.count("not wrongly hard", not (verdict.is_hard and not wanted["hard"]))
    figures.count("replies", str(one.code or "") == wanted["reply"])


def is_same_status(status: str, wanted: str) -> bool:
    """Whether a status is the expected one, or the mail has none and so have we."""
    if int(wanted.rpartition(".")[2] or 0) >= 900 and wanted.startswith(("4.0.", "5.0.")):
        return status in ("", f"{wanted[0]}.0.0")
    return status == wanted


def never_hard() -> list[str]:
    """Complaints and automatic replies that would take an address out of service; there must be none."""
    return [
        name
        for name, content in mails().items()
        if family(name) in ("complaints", "automatic replies") and has_hard(read(content))
    ]


def has_hard(report: Report) -> bool:
    """Whether a report would take an address out of service."""
    return report.kind is ReportKind.BOUNCE and any(
        classify_reported(one).is_hard for one in report.recipients
    )


def variants(content: bytes) -> list[bytes]:
    """A mail with CRLF, LF and CR as line ends."""
    lines = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return [lines.replace(b"\n", b"\r\n"), lines, lines.replace(b"\n", b"\r")]


def misses(found: dict[str, Figures]) -> list[str]:
    """The bars that are not reached, as lines."""
    return [
        f"{name}: {figure} {found[name].percent(figure):.1f} % is below {least} %"
        for name, figure, least in BARS
        if found[name].percent(figure) < least
    ]
