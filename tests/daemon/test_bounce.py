"""``relay bounce parse``: a mail in, JSON out."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from relay.daemon.commands.app import app

BOUNCE = """\
From: MAILER-DAEMON@mx.example
To: 0001@bounce.example.com
Date: Thu, 29 Apr 2010 23:34:45 +0900
Subject: Undelivered: =?utf-8?q?caf=C3=A9?=
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b

<anna@example.org>: host there.example said: 550 5.1.1 no such user (in reply to RCPT TO command)
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example
Original-Envelope-Id: QQ31
Arrival-Date: Thu, 29 Apr 2010 23:30:00 +0900

Final-Recipient: rfc822; anna@example.org
Action: failed
Status: 5.0.0
Remote-MTA: dns; there.example
Diagnostic-Code: smtp; 550 5.1.1 no such user

Final-Recipient: rfc822; berta@example.org
Action: relayed
Status: 2.0.0

--b
Content-Type: text/rfc822-headers

Return-Path: <0001@bounce.example.com>
Message-ID: <1@example.com>
--b--
"""


def parsed(*words: str, stdin: str = "") -> dict:
    result = CliRunner(env={"RELAY_CONFIG": "/nonexistent"}).invoke(app, ["bounce", "parse", *words], stdin)
    assert result.exit_code == 0, result.output
    found: dict = json.loads(result.stdout)
    return found


def test_a_bounce(tmp_path: Path) -> None:
    mail = tmp_path / "bounce.eml"
    mail.write_text(BOUNCE)
    found = parsed(str(mail))
    assert found["kind"] == "bounce"
    assert found["recipients"][0] == {
        "address": "anna@example.org",
        "original": "",
        "action": "failed",
        "status": "5.1.1",
        "code": 550,
        "command": "RCPT",
        "diagnostic": "smtp; 550 5.1.1 no such user",
        "remark": "host there.example said: 550 5.1.1 no such user (in reply to RCPT TO command)",
        "remote_mta": "there.example",
        "type": "Permanent",
        "subtype": "NoEmail",
    }
    assert [found["recipients"][1][key] for key in ("address", "action", "type", "subtype")] == [
        "berta@example.org",
        "relayed",
        None,
        None,
    ]
    assert found["original"] == {
        "message_id": "<1@example.com>",
        "return_path": "0001@bounce.example.com",
        "envelope_id": "QQ31",
        "arrived_at": "2010-04-29T14:30:00Z",
    }
    assert (found["reporting_mta"], found["subject"]) == ("mx.example", "Undelivered: café")
    assert found["sent_at"] == "2010-04-29T14:34:45Z"
    assert parsed("-", stdin=BOUNCE) == found


def test_a_complaint_an_answer_and_anything_else() -> None:
    complaint = (
        "Content-Type: multipart/report; report-type=feedback-report; boundary=b\n\n--b\n"
        "Content-Type: message/feedback-report\n\nFeedback-Type: abuse\nUser-Agent: x/1\n"
        "Original-Rcpt-To: anna@example.org\n--b--\n"
    )
    found = parsed("-", stdin=complaint)
    assert (found["kind"], found["feedback_type"], found["user_agent"]) == ("complaint", "abuse", "x/1")
    assert [one["address"] for one in found["recipients"]] == ["anna@example.org"]
    assert (found["recipients"][0]["type"], found["recipients"][0]["subtype"]) == (None, None)
    found = parsed("-", stdin="From: a@example.org\nAuto-Submitted: auto-replied\n\nI am away\n")
    assert (found["kind"], found["sender"], found["recipients"]) == ("auto-reply", "a@example.org", [])
    assert parsed("-", stdin="")["kind"] == "other"


@pytest.mark.parametrize(("name", "said"), [("gone.eml", "No such file"), (".", "Is a directory")])
def test_a_file_that_cannot_be_read(name: str, said: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["bounce", "parse", str(tmp_path / name)])
    assert result.exit_code == 1
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_it_starts_light_and_reads_bytes_as_they_are() -> None:
    code = (
        "import sys; sys.argv[1:] = ['bounce', 'parse', '-']\nfrom relay.daemon import cli\n"
        "try: cli.main()\nexcept SystemExit: pass\n"
        "print(*sorted({m.partition('.')[0] for m in sys.modules}), file=sys.stderr)"
    )
    content = BOUNCE.replace("\n", "\r\n").encode().replace(b"no such user", b"p\xe9rdu: no such user")
    ended = subprocess.run(
        [sys.executable, "-c", code],
        input=content,
        capture_output=True,
        timeout=60,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )
    assert json.loads(ended.stdout)["recipients"][0]["diagnostic"] == "smtp; 550 5.1.1 pérdu: no such user"
    loaded = set(ended.stderr.decode().split())
    heavy = {"sqlalchemy", "alembic", "aiosmtpd", "uvloop", "cryptography", "httpx"}
    assert sorted(heavy & loaded) == []
