"""Is a record published as it should be; and if not, which of the usual mistakes was made? Pure.

    for name, kind in questions(record, "example.org"): ...ask the DNS...
    diagnose(record, "example.org", seen)     # what it found, and what to change

Contract: FOUND only if the record is there as the relay (or a verifier of signatures) will read it. A mistake
that is recognised is named in ``advice`` with what to change: those of seed 001 ("Common Domain Verification
Problems") and what else providers' forms do to a record. The domain appended once more; the record directly
under the domain; quotes or spaces within the value; a value cut off, in another case, in pieces, with the
name in front, of another account; a name without its underscore, which does for the proof and for nothing
else; a wrong target, or a TXT record where there should be a CNAME. A question that was not answered is
UNKNOWN, never missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import permutations

from relay.directory.published import Record

Ask = tuple[str, str]  # a name and a record type

_QUOTES = "\"'`\\\u201c\u201d\u201e\u2018\u2019\u00ab\u00bb"  # straight and typographic
_CUT_CHARS = 8  # so much of the value must be there to call it cut off
_PIECES = 4


class Verdict(StrEnum):
    """What became of a record."""

    FOUND = "found"
    MISSING = "missing"
    WRONG = "wrong"
    UNKNOWN = "unknown"  # the DNS gave no answer


@dataclass(frozen=True, slots=True)
class Seen:
    """The answer to one question: the values that are there; ``is_known`` False if there was no answer."""

    values: tuple[str, ...] = ()
    is_known: bool = True
    has_name: bool = True  # False: the name does not exist at all


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was found of a record, and what to change; ``advice`` may also praise with a remark."""

    record: Record
    verdict: Verdict
    advice: str = ""


def questions(record: Record, domain: str) -> tuple[Ask, ...]:
    """What to ask the DNS to judge the record."""
    names = [(record.name, record.type)]
    if record.also:
        names.append((record.also, record.type))
    if record.type == "CNAME":
        names.append((record.name, "TXT"))
    names += [(name, record.type) for name in _doubled(record, domain)]
    if record.name != domain:
        names.append((domain, "TXT"))
        names.append((_bare(record.name), record.type))
    return tuple(dict.fromkeys(names))


def diagnose(record: Record, domain: str, seen: Mapping[Ask, Seen]) -> Diagnosis:
    """The judgement. ``seen`` has the answers to ``questions``."""
    places = [record.name, *([record.also] if record.also else [])]
    for name in places:
        if _holds(record, seen[name, record.type].values):
            is_other = name == record.also
            remark = "found at the name without the underscore, which does as well" if is_other else ""
            return Diagnosis(record, Verdict.FOUND, remark)
    if not all(seen[name, record.type].is_known for name in places):
        return Diagnosis(
            record,
            Verdict.UNKNOWN,
            f"no answer from the DNS for {record.name}: is the domain delegated, and do its name servers "
            f"run? Try again in some minutes",
        )
    advice = _misplaced(record, domain, seen) or _misspelt(record, places, seen)
    if advice:
        return Diagnosis(record, Verdict.WRONG, advice)
    if not seen.get((domain, "TXT"), Seen()).has_name:
        return Diagnosis(
            record, Verdict.MISSING, f"{domain} does not exist in the DNS: is it registered and delegated?"
        )
    return Diagnosis(record, Verdict.MISSING, f"publish {record.type} at {record.name} with this value")


def _misspelt(record: Record, places: list[str], seen: Mapping[Ask, Seen]) -> str:
    """What is wrong with the values at the right names; "" if there are none."""
    values = [value for name in places for value in seen[name, record.type].values]
    if record.type == "CNAME":
        if not values and seen[record.name, "TXT"].values:
            return f"there is a TXT record at {record.name}: replace it by a CNAME to {record.value}"
        return _wrong_target(record, values[0]) if values else ""
    if record.type == "MX":
        is_several = f"the MX records are {', '.join(values)}: let {record.value} be the only one"
        return is_several if values else ""
    if _in_pieces(values, record.value):
        return "the value is spread over several records: publish it as one record (of several strings)"
    for value in values:
        for is_it, advice in _MISTAKES:
            if is_it(value, record.value):
                return advice
    if values and record.also:  # the proof: beside it there may be those of other accounts
        return (
            "there is another value at this name, perhaps of another account or relay: let it be, and "
            "publish this one beside it as a second TXT record of the same name"
        )
    is_same_kind = [one for one in values if one[:6].lower() == record.value[:6].lower()]
    return "the value is another one: replace it by this one" if is_same_kind else ""


def _misplaced(record: Record, domain: str, seen: Mapping[Ask, Seen]) -> str:
    """At which wrong name the right value is; "" if at none."""

    def is_at(name: str) -> bool:
        values = seen.get((name, record.type), Seen()).values
        return _holds(record, values) or any(record.value in value for value in values)

    for name in _doubled(record, domain):
        if is_at(name):
            short = record.name.removesuffix(f".{domain}")
            return (
                f"the provider appended the domain once more: the record is at {name}. Enter the name as "
                f"{short}, or as {record.name}. with a dot at the end"
            )
    if record.type == "TXT" and record.name != domain and is_at(domain):
        return f"the record is directly under {domain}: publish it at {record.name}"
    bare = _bare(record.name)
    if bare not in (record.name, record.also) and is_at(bare):
        return (
            f"the record is at {bare}, without the underscore: the name must be {record.name}. If your "
            f"provider takes no underscore, it cannot publish this record"
        )
    return ""


def _wrong_target(record: Record, target: str) -> str:
    if target.startswith(f"{record.value}."):
        return (
            f"the provider appended the domain to the target ({target}): end it with a dot, {record.value}."
        )
    return f"the CNAME leads to {target}: let it lead to {record.value}"


def _holds(record: Record, values: tuple[str, ...]) -> bool:
    """Whether the record is among the values, as its reader will take it."""
    if record.type == "MX":
        return [value.split()[-1] for value in values] == [record.value.split()[-1]]
    if record.type == "CNAME":
        return record.value.lower() in (value.lower() for value in values)
    if ";" in record.value:  # tags: white space around them means nothing (RFC 6376 3.2)
        return _tags(record.value) in map(_tags, values)
    return record.value in (value.strip() for value in values)


def _tags(text: str) -> list[tuple[str, str]]:
    pairs = [tag.partition("=") for tag in text.split(";") if tag.strip()]
    return [(name.strip(), "".join(value.split())) for name, _, value in pairs]


def _doubled(record: Record, domain: str) -> tuple[str, ...]:
    """Where the record lands if a provider appends the domain to a whole name."""
    return tuple(f"{name}.{domain}" for name in (record.name, record.also) if name)


def _bare(name: str) -> str:
    """The name as a provider that takes no underscores makes it."""
    return name.replace("_", "")


def _in_pieces(values: list[str], wanted: str) -> bool:
    parts = [value for value in values if value and value in wanted][:_PIECES]
    return any(
        "".join(some) == wanted for count in range(2, len(parts) + 1) for some in permutations(parts, count)
    )


def _unquoted(value: str) -> str:
    return value.strip().strip(_QUOTES).strip()


_MISTAKES: tuple[tuple[Callable[[str, str], bool], str], ...] = (
    (
        lambda value, wanted: value != wanted and _unquoted(value) == wanted,
        "the quotes are part of the value: enter it without them",
    ),
    (
        lambda value, wanted: "".join(value.split()) == "".join(wanted.split()),
        "there are spaces or line ends within the value: enter it in one piece",
    ),
    (
        lambda value, wanted: _unquoted(value).lower() == wanted.lower(),
        "upper and lower case were changed: enter the value exactly as it is given",
    ),
    (
        lambda value, wanted: len(_unquoted(value)) >= _CUT_CHARS and wanted.startswith(_unquoted(value)),
        "the value is cut off: enter all of it, in strings of up to 255 characters if your provider asks so",
    ),
    (
        lambda value, wanted: wanted in value,
        "there is more in the value than there should be (perhaps the name, or a comment): only this value",
    ),
)
