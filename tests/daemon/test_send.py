"""``relay send``: what becomes of what is piped in. The way through a relay is tested as a scenario."""

import io
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from relay.daemon.commands import send
from relay.daemon.link import LinkError
from relay.daemon.supervisor import control


@pytest.mark.parametrize(
    ("raw", "ignore_dots", "message"),
    [
        (b"A: b\n\nx\n", True, b"A: b\r\n\r\nx\r\n"),
        (b"A: b\r\n\r\nx\r\n", True, b"A: b\r\n\r\nx\r\n"),
        (b"A: b\n\nno end", True, b"A: b\r\n\r\nno end\r\n"),
        (b"A: b\n\nx\n.\ny\n", True, b"A: b\r\n\r\nx\r\n.\r\ny\r\n"),
        (b"A: b\n\nx\n.\ny\n", False, b"A: b\r\n\r\nx\r\n"),
        (b"A: b\n\n..\n. \n", False, b"A: b\r\n\r\n..\r\n. \r\n"),
        (b"", True, b""),
        (b"\xff\n", True, b"\xff\r\n"),
        (b"a\rb\n", True, b"a\rb\r\n"),  # a bare CR is for the relay to refuse, not for us to repair
    ],
)
def test_lines(raw: bytes, ignore_dots: bool, message: bytes) -> None:
    assert send.read_message(raw, ignore_dots=ignore_dots) == message


@pytest.mark.parametrize(
    ("message", "name", "complete"),
    [
        (b"From: x@y.example\r\n\r\nhi\r\n", "", b"From: x@y.example\r\n\r\nhi\r\n"),
        (b"Subject: s\r\nFROM : x@y.example\r\n\r\n", "", b"Subject: s\r\nFROM : x@y.example\r\n\r\n"),
        (b"Subject: s\r\n\r\nFrom: me\r\n", "", b"From: a@b.example\r\nSubject: s\r\n\r\nFrom: me\r\n"),
        (b"hello there\r\n", "", b"From: a@b.example\r\n\r\nhello there\r\n"),
        (b"\r\nhello: there\r\n", "", b"From: a@b.example\r\n\r\nhello: there\r\n"),
        (b"", "", b"From: a@b.example\r\n\r\n"),
        (b"S: s\r\n\r\n", "A, B", b'From: "A, B" <a@b.example>\r\nS: s\r\n\r\n'),
        (b"S: s\r\n\r\n", "Jürgen", b"From: =?utf-8?q?J=C3=BCrgen?= <a@b.example>\r\nS: s\r\n\r\n"),
    ],
)
def test_what_others_leave_to_sendmail_is_added(message: bytes, name: str, complete: bytes) -> None:
    assert send.complete(message, "a@b.example", name) == complete


@pytest.mark.parametrize("name", ["a\r\nBcc: x@y.example", "a\nb"])
def test_a_name_adds_no_field(name: str) -> None:
    completed = send.complete(b"S: s\r\n\r\n", "a@b.example", name)
    assert b"\r\nBcc" not in completed
    assert b"\nb" not in completed


@pytest.mark.parametrize("sender", ["me", "@", "a b@c", "x@y\r\nBcc: z@y.example"])
def test_a_sender_that_is_none_is_left_for_the_relay_to_refuse(sender: str) -> None:
    assert b"Bcc" not in send.complete(b"S: s\r\n\r\n", sender, "")


def test_recipients_from_the_header() -> None:
    message = b"To: A <a@x.example>, b@x.example\r\nCc: g: c@x.example;\r\n"
    message += b"Bcc: d@x.example\r\nReply-To: e@x.example\r\n\r\n"
    assert send.header_recipients(message) == [f"{one}@x.example" for one in "abcd"]


def test_recipients_of_a_field_that_cannot_be_read_are_not_left_out_in_silence() -> None:
    with pytest.raises(ValueError, match="in Cc cannot be read"):
        send.header_recipients(b"To: a@x.example\r\nCc: broken <b\r\n\r\n")
    assert send.header_recipients(b"To: undisclosed-recipients:;\r\nCc:\r\nBcc: a@x.example\r\n\r\n") == [
        "a@x.example"
    ]


class Running:
    """In place of a relay that runs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        self.answer: dict[str, Any] | Exception = {"code": 250, "id": "the-id"}
        self.asked: list[dict[str, Any]] = []
        self._patch = monkeypatch
        (tmp_path / "r.toml").write_text("[relay]\nhostname = 'm.example.com'\n")
        monkeypatch.setenv("RELAY_CONFIG", str(tmp_path / "r.toml"))
        monkeypatch.delenv("RELAY_ACCOUNT", raising=False)
        monkeypatch.setattr(control, "ask", self.ask)

    async def ask(self, spool: Path, what: str, **fields: Any) -> dict[str, Any]:
        assert what == "submit"
        self.asked.append(fields)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def send(self, *words: str, stdin: bytes = b"From: a@b.example\n\nhi\n") -> int:
        self._patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        return send.main(list(words))


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Running:
    return Running(monkeypatch, tmp_path)


def test_the_ways_that_programs_call_sendmail(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELAY_ACCOUNT", "shop")
    for words in (
        ["-t", "-i"],
        ["-oi", "-t"],
        ["-i", "-f", "bounce@b.example", "-t"],
        ["-fbounce@b.example", "-t", "-oem", "-odb"],
        ["-r", "bounce@b.example", "-F", "The Shop", "x@y.example"],
        ["-A", "other", "--", "x@y.example"],
        ["-v", "x@y.example", "x@y.example"],
    ):
        assert running.send(*words, stdin=b"To: x@y.example\n\nhi\n") == 0, words
    assert [one["account"] for one in running.asked] == ["shop"] * 5 + ["other", "shop"]
    assert all(one["recipients"] == ["x@y.example"] for one in running.asked)
    assert [one["sender"].partition("@")[0] for one in running.asked[2:5]] == ["bounce"] * 3
    assert running.asked[0]["sender"].endswith("@m.example.com")


def test_reports_are_asked_for_as_of_sendmail(running: Running) -> None:
    words = ["-N", "delay,failure", "-R", "hdrs", "-V", "order 7+1", "--deliver-by", "120;R", "x@y.example"]
    assert running.send("-A", "shop", *words) == 0
    assert running.send("-A", "shop", "x@y.example") == 0
    assert [(one["mail"], one["rcpt"]) for one in running.asked] == [
        ("RET=hdrs ENVID=order+207+2B1 BY=120;R", "NOTIFY=delay,failure"),
        ("", ""),
    ]


@pytest.mark.parametrize("sender", ["", "<>"])
def test_the_null_sender(running: Running, sender: str) -> None:
    assert running.send("-A", "shop", "-f", sender, "x@y.example") == 0
    assert running.asked[0]["sender"] == ""


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ({"code": 250, "id": "x"}, 0),
        ({"code": 451, "text": "later"}, 75),
        ({"code": 452, "text": "full"}, 75),
        ({"code": 501, "text": "sender"}, 65),
        ({"code": 530, "text": "account"}, 77),
        ({"code": 552, "text": "large"}, 69),
        ({"code": 553, "text": "recipient"}, 67),
        ({"code": 554, "text": "refused"}, 69),
        (control.NotRunning("no relay runs"), 75),
        (control.NotAllowed("not allowed"), 77),
        (LinkError("no answer"), 75),
    ],
)
def test_exit_status(
    running: Running, answer: dict[str, Any] | Exception, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    running.answer = answer
    assert running.send("-A", "shop", "x@y.example") == status
    out, error = capsys.readouterr()
    assert out == ""
    assert len(error.splitlines()) == (1 if status else 0)


@pytest.mark.parametrize(
    ("words", "said"),
    [(["x@y.example"], "-A NAME or RELAY_ACCOUNT"), (["-A", "shop"], "no recipients; name them or use -t")],
)
def test_a_wrong_call(
    running: Running, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert running.send(*words) == 64
    assert said in capsys.readouterr().err
    assert running.asked == []


def test_a_user_without_a_name_may_send(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 3_999_999_999)
    assert running.send("-A", "shop", "x@y.example") == 0
    assert running.asked[0]["sender"] == "uid3999999999@m.example.com"
