"""The line of a setting, in files as people write them."""

from pathlib import Path

import pytest

from relay.base.errors import ConfigError
from relay.daemon.settings.config import parse
from relay.daemon.settings.places import line_of

TEXT = """\
# [limits] recipients = 5
[relay]
hostname = "m.example"   # comment = no
[limits]
  recipients = 50
data_timeout="1m"
[[route]]
domain = "a"
[[route]]
domain = "b"
next_hop = "b:25"
[[signing.service_key]]
selector = "s"
[signing]
"service_domain" = "x"
log.level = "info"
"""


@pytest.mark.parametrize(
    ("location", "line"),
    [
        (("limits", "recipients"), 5),
        (("limits", "data_timeout"), 6),
        (("limits", "not_there"), 4),
        (("relay",), 2),
        (("route", 1, "next_hop"), 11),
        (("route", 0, "next_hop"), 7),
        (("route", 1), 9),
        (("signing", "service_key", 0, "selector"), 13),
        (("signing", "service_domain"), 15),
        (("signing", "log", "level"), 16),
        (("nowhere", "at", "all"), 0),
        ((), 0),
    ],
)
def test_the_line(location: tuple[str | int, ...], line: int) -> None:
    assert line_of(TEXT, location) == line


def test_errors_of_settings_have_it() -> None:
    text = "[relay]\nhostname='m.example'\n\n[limits]\nrecipients='many'\nrecipiens=4\n[spol]\n"
    with pytest.raises(ConfigError) as raised:
        parse(text, Path("/etc/relay.toml"))
    lines = str(raised.value).splitlines()
    assert [line.rpartition(" (line ")[2] for line in lines] == ["5)", "6)", "7)"]
    assert all(line.startswith("/etc/relay.toml: ") for line in lines)
