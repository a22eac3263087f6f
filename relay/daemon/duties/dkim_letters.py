"""What the owner of a domain is told about its DKIM: subject and text, for each step.

Pure. A text says what was found, what it means for the mail, and what to do, with the commands' names.
"""

from __future__ import annotations

from collections.abc import Sequence

from relay.directory.dkim_life import Pace, Step

_SUBJECTS = {
    Step.FOUND: "DKIM for {domain} is set up",
    Step.FAILED: "DKIM for {domain}: the records were not found",
    Step.WARNED: "DKIM for {domain}: the records are gone",
    Step.REVOKED: "DKIM for {domain} is switched off",
    Step.RECOVERED: "DKIM for {domain}: the records are back",
    Step.RENEWED: "DKIM for {domain}: a new key to publish",
}
_TEXTS = {
    Step.FOUND: "The DKIM records of {domain} were found. Mail from it is signed from now on.",
    Step.FAILED: (
        "The DKIM records of {domain} were not found within {pending}, and are not looked for any more. Mail "
        "from it is sent, but not signed for {domain}.\n\n{faults}\n\nTo try again, publish the records "
        "(relay identity records {domain}), then: relay identity dkim on {domain}"
    ),
    Step.WARNED: (
        "The DKIM records of {domain} can no longer be found. Mail from it is sent, but not signed for "
        "{domain}, since receivers could not verify the signature.\n\n{faults}\n\nPublish the records again "
        "(relay identity records {domain}). When they are found, mail is signed again; if that does not "
        "happen within {warned}, DKIM for {domain} is switched off."
    ),
    Step.REVOKED: (
        "The DKIM records of {domain} have been gone for {warned}. DKIM for it is switched off: mail is "
        "sent, but not signed for {domain}, and the records are not looked for any more.\n\n{faults}\n\nTo "
        "set it up again, publish the records (relay identity records {domain}), then: "
        "relay identity dkim on {domain}"
    ),
    Step.RENEWED: (
        "A DKIM key of {domain} that no longer signs was replaced by a new one under the same selector. It "
        "will sign in its turn, once its record is found; until then mail is signed as before.\n\n"
        "Publish the TXT records anew: relay identity records {domain}"
    ),
    Step.RECOVERED: (
        "The DKIM records of {domain} are back, and mail from it is signed again. There is nothing to do."
    ),
}


def letter(step: Step, domain: str, faults: Sequence[str], pace: Pace) -> tuple[str, str]:
    """Subject and text; ``faults`` are lines that name what is wrong with which record."""
    words = {
        "domain": domain,
        "pending": _days(pace.pending_for_s),
        "warned": _days(pace.warned_for_s),
        "faults": "\n".join(faults) or "The records may be there again by now.",
    }
    return _SUBJECTS[step].format(**words), _TEXTS[step].format(**words)


def _days(seconds: float) -> str:
    if seconds >= 86400 and seconds % 86400 == 0:
        count, unit = int(seconds // 86400), "day"
    else:
        count, unit = round(seconds / 3600), "hour"
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
