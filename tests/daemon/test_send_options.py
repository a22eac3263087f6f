"""The options of ``relay send``, read as sendmail reads them."""

import pytest

from relay.daemon.commands import send_options

TO = "x@y.example"


@pytest.mark.parametrize(
    ("words", "sender", "recipients"),
    [
        (["-f", "-a@b.example", TO], "-a@b.example", [TO]),
        (["-f-a=b@b.example", TO], "-a=b@b.example", [TO]),
        (["-f", "=a@b.example", TO], "=a@b.example", [TO]),
        (["-f", "i=a@b.example", TO], "i=a@b.example", [TO]),
        (["-r", "", "--", "-x@y.example", "-t"], "", ["-x@y.example", "-t"]),
        ([TO, "-f", "a@b.example", "z@y.example"], "a@b.example", [TO, "z@y.example"]),
        (["-itf", "a@b.example", TO], "a@b.example", [TO]),
        (["-f", '"a b"@b.example', '"c d"@y.example'], '"a b"@b.example', ['"c d"@y.example']),
        ([TO], None, [TO]),
        (["--", ""], None, [""]),
    ],
)
def test_values_and_addresses(words: list[str], sender: str | None, recipients: list[str]) -> None:
    options = send_options.read(words)
    assert (options.sender, options.recipients) == (sender, recipients)


@pytest.mark.parametrize(
    ("words", "ignores_dots"),
    [
        (["-FCronDaemon", "-i", "-B8BITMIME", "-oem", "root"], True),  # cron
        (["-oi", "-oem", "-oT", "1h", TO], True),
        (["-o", "i", TO], True),
        (["-em", "-odb", "-bm", "-v", "-m", TO], False),
        (["-LX", "-OErrorMode=m", "-B", "7BIT", TO], False),
    ],
)
def test_habits_of_callers(words: list[str], ignores_dots: bool) -> None:
    assert send_options.read(words).ignore_dots is ignores_dots


def test_long_options() -> None:
    words = ["--account", "-shop", "--config=-c.toml", "--deliver-by", "120;R", TO]
    options = send_options.read(words)
    assert (options.account, options.config, options.deliver_by) == ("-shop", "-c.toml", "120;R")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["-bs"],
            "-bs is not supported: SMTP is spoken on the ports of [[listener]]",
        ),
        (["-bp"], "relay queue list"),
        (["-bd"], "relay run"),
        (["-bz"], "only messages are taken"),
        (["--nonsense", TO], "--nonsense"),
        (["-q", TO], "-q"),
        (["-f"], "-f"),
    ],
)
def test_what_is_not_taken_says_what_to_do(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        send_options.read(words)
    assert ended.value.code == 64
    complaint, _, usage = capsys.readouterr().err.partition("\n")
    assert complaint.startswith("4.3.5 relay send: ")
    assert said in complaint
    assert usage.startswith("usage: relay send")
