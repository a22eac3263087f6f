"""``conf/relay.toml`` as data."""

from pathlib import Path

import pytest

from relay.daemon.manual.settings_text import read

CONF = Path(__file__).parents[2] / "conf" / "relay.toml"

TEXT = """\
# Every setting.
#
# More.

# Ways in.
[[listener]]
address = ["0.0.0.0:25"]                # "host:port"; port 0 is free
#tls = "none"                           # "none" or
                                        # something # else [restart]

# For printers.
#[[listener]]
#address = "10.0.0.5:25"
#account = "printers"

[log]                                   # what is told
# How much. [restart]
#level = "info"
#form = "a # b"
# Other
# things.
#rest = 1
"""


def test_it_is_read() -> None:
    introduction, (listener, log) = read(TEXT)
    assert introduction == "Every setting.\n\nMore."
    assert (listener.name, listener.text, listener.is_repeated) == ("listener", "Ways in.", True)
    assert (log.name, log.text, log.is_repeated) == ("log", "what is told", False)
    rows = [
        (table.name, group.text, one.name, one.shown, one.note, one.needs_restart)
        for table in (listener, log)
        for group in table.groups
        for one in group.settings
    ]
    assert rows == [
        ("listener", "", "address", '["0.0.0.0:25"]', '"host:port"; port 0 is free', False),
        ("listener", "", "tls", '"none"', '"none" or something # else', True),
        ("listener", "For printers.", "account", '"printers"', "", False),
        ("log", "How much. [restart]", "level", '"info"', "", True),
        ("log", "How much. [restart]", "form", '"a # b"', "", True),
        ("log", "Other things.", "rest", "1", "", False),
    ]


@pytest.mark.parametrize("line", ["what", "[Table]", "x=1"])
def test_what_has_no_form_is_an_error(line: str) -> None:
    with pytest.raises(ValueError, match="neither table nor setting nor comment"):
        read(f"# Intro.\n\n[log]\n{line}\n")


def test_the_real_file_has_the_form() -> None:
    _, tables = read(CONF.read_text())
    assert all(table.groups for table in tables)
