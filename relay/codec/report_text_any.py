"""Bounces in nobody's form: addresses in sentences of failed delivery, or on lines of their own after them.

Contract: ``read_any`` takes the lines of a text, without the copy of the original, and gives who is named
with the lines about them. An address counts on a line that has words of failed delivery, and on one that
begins with it, or is set in, within three lines after such words. Not those whom the bounce itself is from or
to, nor those who are named for help, nor whom a message came from. Where nobody is left, the one in a line
"To:".

Pure, never raises; each line is read once.
"""

from __future__ import annotations

import re

from relay.codec.report_text_forms import MAX_NAMED, Named, command_in

_NEAR_LINES = 3
_ANYWHERE = re.compile(r"(?<![\w.+@-])<?[\w.!#$%&'*+/=?^`{|}~-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,10}>?")
_X400 = re.compile(r"\A(?:smtp|rfc822)=", re.IGNORECASE)
_FAILING = re.compile(
    r"deliver|reach|fail|reject|unknown|recipient|bounce|no such|not exist|disabled|full\b|not found|problem"
    r"|not receive|addressed to|message to:|error-for"
    r"|zustell|zugestellt|unbekannt|remis|d[ée]livr|inconnu|entreg|consegn|sconosciut|доставлен|投递|投遞|退信|配信",
    re.IGNORECASE,
)
# Sentences that name an address for another reason.
_ASKING = re.compile(
    r"contact|assist|question|support|please (?:write|send|mail|e-?mail)|for help|send (?:an )?e?-?mail"
    r"|\btry ",
    re.IGNORECASE,
)
_FROM = re.compile(r"\bfrom:? {0,3}<?\Z", re.IGNORECASE)
_TO_LINE = re.compile(r"\s{0,20}To:\s{0,20}<?([^\s<>@]{1,128}@[^\s<>@,;]{1,255})>?\s{0,20}\Z")


def read_any(lines: list[str], own: frozenset[str]) -> list[Named]:
    """Any other form: addresses in sentences of failed delivery, or on lines of their own after them."""
    named: dict[str, Named] = {}
    near = 0  # lines since words of failed delivery, from three down
    written_to = []
    last: Named | None = None
    for line in lines:
        found = _addresses(line, own)
        says = bool(_FAILING.search(line))
        if found and len(found) <= 3 and (says or (near and _is_entry(line, found[0]))):
            for address in found:
                last = named.setdefault(address.lower(), Named(address))
                last.lines.append(line.strip())
        elif line.startswith("---"):
            last = None
        elif last is not None and line.strip():
            last.lines.append(line.strip())
        if near and (match := _TO_LINE.match(line)) and match[1].lower() not in own:
            written_to.append(match[1])
        if line.strip():
            near = _NEAR_LINES if says or (near and found) else max(0, near - 1)
        if len(named) >= MAX_NAMED:
            break
    if not named and len(written_to) == 1:  # they repeat its header, and name nobody besides
        named[""] = Named(written_to[0], [line.strip() for line in lines if line.strip()])
    for entry in named.values():
        entry.command = command_in(entry.lines)
    return list(named.values())


def _addresses(line: str, own: frozenset[str]) -> list[str]:
    """The addresses in a line that may be recipients."""
    if "@" not in line or _ASKING.search(line):
        return []
    found = []
    for match in _ANYWHERE.finditer(line):
        address = _X400.sub("", match[0].strip("<>'`"))
        if address.lower() not in own and not _FROM.search(line[max(0, match.start() - 12) : match.start()]):
            found.append(address)
    return found


def _is_entry(line: str, address: str) -> bool:
    """Whether a line after words of failed delivery is about this address: begins with it, or is set in."""
    is_set_in = line.startswith((" ", "\t")) or "SMTP=" in line
    return is_set_in or line.lstrip("<>\"'-* ").startswith(address)
