"""Mails of the corpus, damaged: lines lost, doubled and swapped, bytes turned, parts nested, mails spliced.

``damaged`` takes a random generator, so that a seed gives the same mail again. Nothing is expected of what
is read out of them but that it is read, in less than a second of this process' time, and that no damage makes
a complaint or an automatic reply take an address out of service.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator

from relay.base.feedback import ReportKind
from relay.codec.report import read
from relay.verdict.bounce_class import classify_reported
from tests.corpora.bounces import KINDS, expected, has_hard, mails

MOST_S = 1.0
_JUNK = (
    b"", b"\x00", b"\xff\xfe", b": ", b";", b"<", b">", b"--", b"\r", b"\n\n", b"=?utf-8?b?", b"\xe2\x80\xa8",
    b'boundary="', b"Final-Recipient: rfc822;", b"550 5.1.1 ", b"@" * 300, b"(" * 500, b"a." * 500,
    b" \t" * 500,    b"Content-Type: multipart/mixed; boundary=b\n\n--b\n", b"<a@b.example>:\n",
)  # fmt: skip


def _lost(lines: list[bytes], dice: random.Random) -> list[bytes]:
    at = dice.randrange(len(lines))
    return lines[:at] + lines[at + dice.randrange(1, 20) :]


def _doubled(lines: list[bytes], dice: random.Random) -> list[bytes]:
    at = dice.randrange(len(lines))
    return lines[:at] + lines[at : at + dice.randrange(1, 8)] * dice.choice((2, 50, 3_000)) + lines[at:]


def _swapped(lines: list[bytes], dice: random.Random) -> list[bytes]:
    one, other = dice.randrange(len(lines)), dice.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    return lines


def _junked(lines: list[bytes], dice: random.Random) -> list[bytes]:
    for _ in range(dice.randrange(1, 30)):
        at = dice.randrange(len(lines))
        place = dice.randrange(len(lines[at]) + 1)
        lines[at] = lines[at][:place] + dice.choice(_JUNK) * dice.choice((1, 1, 100)) + lines[at][place:]
    return lines


def _turned(lines: list[bytes], dice: random.Random) -> list[bytes]:
    content = bytearray(b"\n".join(lines))
    for _ in range(dice.randrange(1, 200)):
        content[dice.randrange(len(content))] = dice.randrange(256)
    return bytes(content).split(b"\n")


def _indented(lines: list[bytes], dice: random.Random) -> list[bytes]:
    return [dice.choice((b"", b"", b" ", b"\t", b"> ")) + line for line in lines]


def _nested(lines: list[bytes], dice: random.Random) -> list[bytes]:
    head = [
        b"Content-Type: multipart/mixed; boundary=%d" % dice.randrange(3),
        b"",
        b"--%d" % dice.randrange(3),
    ]
    return head * dice.choice((1, 5, 2_000)) + lines


def _spliced(lines: list[bytes], dice: random.Random) -> list[bytes]:
    other = mails()[dice.choice(list(mails()))].split(b"\n")
    return lines[: dice.randrange(len(lines))] + other[dice.randrange(len(other)) :]


DAMAGES: tuple[Callable[[list[bytes], random.Random], list[bytes]], ...] = (
    _lost, _doubled, _swapped, _junked, _turned, _indented, _nested, _spliced,
)  # fmt: skip


def damaged(content: bytes, dice: random.Random) -> tuple[bytes, bool]:
    """A mail, damaged once to three times, and whether another mail has come into it."""
    lines = content.split(b"\n")
    has_other = False
    for _ in range(dice.randrange(1, 4)):
        damage = dice.choice(DAMAGES)
        has_other = has_other or damage is _spliced
        lines = damage(lines, dice) or [b""]
    line_end = dice.choice((b"\n", b"\n", b"\r\n", b"\r"))
    return line_end.join(lines), has_other


def trouble(seeds: Iterable[int]) -> Iterator[str]:
    """What went wrong with the mails that these seeds make, as lines."""
    names = sorted(mails())
    for seed in seeds:
        dice = random.Random(seed)
        name = dice.choice(names)
        content, has_other = damaged(mails()[name], dice)
        began = time.process_time()
        try:
            report = read(content)
            for one in report.recipients:
                classify_reported(one)
        except Exception as error:
            yield f"seed {seed}: {name}: {error!r}"
            continue
        took_s = time.process_time() - began
        if took_s > MOST_S:
            yield f"seed {seed}: {name}: took {took_s:.1f} s for {len(content)} bytes"
        wanted = expected()[name]
        is_gentle = wanted is not None and str(wanted[0]["reason"]) in KINDS
        if is_gentle and not has_other and report.kind is ReportKind.BOUNCE and has_hard(report):
            yield f"seed {seed}: {name} is hard"
