"""What an account's contact reads when its bounce or complaint rate has got too high. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

from relay.verdict.reputation import Rate, Status, Step, Thresholds, Volume

KIND = "reputation"

_MEANS = {
    Rate.BOUNCE: (
        "bounced hard: the address does not exist, or takes no mail for good",
        "Take addresses that have bounced off your lists, and find out where they came from.\n"
        "Mail to your own verified domains and to the simulator does not count.",
    ),
    Rate.COMPLAINT: (
        "were called spam by those who got them",
        "Write only to those who have asked for it, and take those who complained off your lists.\n"
        "Mail to the simulator does not count.",
    ),
}


def letter(step: Step, volume: Volume, limits: Thresholds) -> tuple[str, str]:
    """Subject and text."""
    is_warning = step.status is Status.UNDER_REVIEW
    means, advice = _MEANS[step.rate]
    subject = f"{step.rate.value.capitalize()} rate {percent(step.value)}: " + _HEADLINES[step.status]
    since = datetime.fromtimestamp(volume.since, UTC).strftime("%Y-%m-%d %H:%M UTC")
    text = (
        f"{volume.count(step.rate):,} of {volume.mails:,} recipients {means}.\n"
        f"Counted is the newest mail, back to {since}.\n\n"
        f"The {step.rate.value} rate is {percent(step.value)}; "
        f"from {percent(step.threshold)} on {_CONSEQUENCES[step.status]}.\n"
    )
    if is_warning:
        pause = limits.of(step.rate)[1]
        effect = "sending is paused" if limits.is_pausing else "the postmaster may pause sending"
        text += f"From {percent(pause)} on {effect}.\n"
    text += f"\n{advice}\n"
    if step.status is Status.PAUSED:
        text += (
            "\nNew mail is refused until the postmaster of this relay resumes the account; what was\n"
            "accepted is still delivered. Tell the postmaster what you have changed. From then on only\n"
            "mail counts that is sent from then on.\n"
        )
    return subject, text


def reason_of(name: str, step: Step, volume: Volume) -> str:
    """Why sending is paused, for `relay account show`; it says how to resume."""
    return (
        f"{step.rate.value} rate {percent(step.value)} ({volume.count(step.rate):,} of {volume.mails:,}), "
        f"[reputation] {step.rate.value}_pause is {percent(step.threshold)}; "
        f"once the cause is gone: relay account resume {name}"
    )


def percent(value: float) -> str:
    """A share for people."""
    return f"{100 * value:.3g}%"


_HEADLINES = {
    Status.UNDER_REVIEW: "your account is under review",
    Status.PENDING: "your account's sending may be paused",
    Status.PAUSED: "your account's sending is paused",
}
_CONSEQUENCES = {
    Status.UNDER_REVIEW: "an account is under review",
    Status.PENDING: "the postmaster may pause sending",
    Status.PAUSED: "sending is paused",
}
