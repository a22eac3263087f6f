"""``relay bounce``: what a mail that came back says, without a relay or a configuration.

``parse`` reads one mail from a file, or from standard input for "-", and prints one JSON object. Every key is
always there; what the mail does not say is "", 0 for a reply code, null for a time and for the type of a
recipient about whom nothing failed. It loads neither the configuration nor the database: a procmail rule or a
pipe may call it for each mail.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from relay.base.feedback import Action, Report, ReportedRecipient, ReportKind
from relay.codec.report import read
from relay.codec.report_parts import MAX_BYTES
from relay.daemon.commands.rows import moment
from relay.verdict.bounce_class import classify_reported

app = typer.Typer(no_args_is_help=True, help="Bounces: what came back, and what it means.")

_ENOUGH_BYTES = 2 * MAX_BYTES  # no more is looked at


@app.callback()
def bounce() -> None:
    """Bounces: what came back, and what it means."""


@app.command()
def parse(
    file: Annotated[str, typer.Argument(help='A mail, header and body; "-" is standard input.')],
) -> None:
    """Print as JSON what a bounce, complaint or automatic reply says, and how it is judged."""
    try:
        report = read(_content(file))
    except OSError as error:
        typer.echo(f"relay: {file}: {error.strerror}; name a file with one mail, or - for input", err=True)
        raise typer.Exit(1) from None
    typer.echo(json.dumps(as_json(report), indent=2, ensure_ascii=False))


def _content(file: str) -> bytes:
    if file == "-":
        return sys.stdin.buffer.read(_ENOUGH_BYTES)
    with Path(file).open("rb") as source:
        return source.read(_ENOUGH_BYTES)


def as_json(report: Report) -> dict[str, object]:
    """A report as it is printed."""
    is_bounce = report.kind is ReportKind.BOUNCE
    return {
        "kind": report.kind.value,
        "recipients": [_recipient(found, is_bounce) for found in report.recipients],
        "original": {
            "message_id": report.message_id,
            "return_path": report.return_path,
            "envelope_id": report.envelope_id,
            "arrived_at": moment(report.arrived_at) if report.arrived_at else None,
        },
        "reporting_mta": report.reporting_mta,
        "feedback_type": report.feedback_type,
        "user_agent": report.user_agent,
        "sender": report.sender,
        "subject": report.subject,
        "sent_at": moment(report.sent_at) if report.sent_at else None,
    }


def _recipient(found: ReportedRecipient, is_bounce: bool) -> dict[str, object]:
    has_failed = is_bounce and found.action in (Action.FAILED, Action.DELAYED, Action.UNKNOWN)
    verdict = classify_reported(found) if has_failed else None
    return {
        "address": found.address,
        "original": found.original,
        "action": found.action.value,
        "status": found.status,
        "code": found.code,
        "command": found.command,
        "diagnostic": found.diagnostic,
        "remark": found.remark,
        "remote_mta": found.remote_mta,
        "type": verdict.type.value if verdict is not None else None,
        "subtype": verdict.subtype.value if verdict is not None else None,
    }
