"""``relay send``: what it asks, and how it ends. The way through a relay is tested as a scenario."""

import io
import os
import sys
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

from relay.daemon.commands import send
from relay.daemon.link import LinkError
from relay.daemon.supervisor import control


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
    ("answer", "begins"),
    [
        ({"code": 451, "text": "later"}, "4.3.0 relay send: 451 later"),
        ({"code": 454, "text": "x", "enhanced": "4.7.1"}, "4.7.1 relay send: 454 x"),
        ({"code": 499, "text": "x", "enhanced": ""}, "4.0.0 relay send: 499 x"),
        ({"code": 554, "text": "x", "enhanced": "5.7.1"}, "5.7.1 relay send: 554 x"),
        ({"code": 553, "text": "x"}, "5.1.3 "),
        ({"code": 530, "text": "no such account"}, "4.7.0 "),
        (control.NotRunning("no relay runs"), "4.3.2 relay send: no relay runs"),
        (control.NotAllowed("not allowed"), "4.7.0 "),
        (MemoryError("ours"), "4.3.0 relay send: MemoryError: ours"),
    ],
)
def test_what_it_says_begins_with_a_code_for_those_who_queue(
    running: Running,
    answer: dict[str, Any] | Exception,
    begins: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    running.answer = answer
    status = running.send("-A", "shop", "x@y.example")
    said = capsys.readouterr().err
    assert said.startswith(begins)
    assert status == 75 or "MemoryError" not in said
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    running.send("-A", "shop", "x@y.example")
    assert capsys.readouterr().err == said.partition(" ")[2]  # not for people


def test_a_configuration_with_an_error_leaves_mail_in_the_queue(
    running: Running, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "r.toml").write_text("[nonsense]\n")
    assert running.send("-A", "shop", "x@y.example") == 78
    assert capsys.readouterr().err.startswith("4.3.5 relay send: ")


def test_names_get_the_domain_of_the_host(running: Running) -> None:
    stdin = b"From: root (Cron Daemon)\nTo: root\nCc: a@b.example\n\nx\n"
    assert running.send("-A", "shop", "-t", "-f", "root", "web", stdin=stdin) == 0
    (asked,) = running.asked
    assert asked["sender"] == "root@m.example.com"
    assert asked["recipients"] == ["web@m.example.com", "root@m.example.com", "a@b.example"]
    assert b"From: root@m.example.com (Cron Daemon)\r\n" in b64decode(asked["content"])


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
