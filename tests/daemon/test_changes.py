"""What a reload takes over, and that ``conf/relay.toml`` says the same."""

import re
from pathlib import Path
from typing import Any

import pytest

from relay.daemon.settings.changes import LIVE, LIVE_OF_LISTENER, in_force, needs_restart
from relay.daemon.settings.config import Config, parse

FILE = Path("/etc/relay/relay.toml")
DEFAULTS = Path(__file__).parents[2] / "conf" / "relay.toml"
BOOT = """
[relay]
hostname = "a.example"
[[listener]]
address = "127.0.0.1:2525"
tls = "none"
auth = "none"
trusted_networks = ["10.0.0.0/8"]
account = "shop"
[limits]
recipients = 50
"""


def changed(old: str, new: str) -> tuple[Config, list[str]]:
    """The configuration in force and what waits, after ``old`` in the file became ``new``."""
    assert old in BOOT
    boot, now = parse(BOOT, FILE), parse(BOOT.replace(old, new), FILE)
    return in_force(boot, now), needs_restart(boot, now)


def test_nothing_changes() -> None:
    boot = parse(BOOT, FILE)
    assert changed("", "") == (boot, [])


@pytest.mark.parametrize(
    ("old", "new", "path", "value"),
    [
        ("recipients = 50", "recipients = 7", "limits.recipients", 7),
        ("[limits]", "[log]\nlevel = 'warning'\n[limits]", "log.level", "warning"),
        ("[limits]", "[delivery]\nmax_age = '1h'\n[limits]", "delivery.max_age", 3600.0),
        ("[limits]", "[spool]\nfresh_memory = '1 MB'\n[limits]", "spool.fresh_memory", 1_000_000),
        (
            "[limits]",
            "[signing]\nservice_domain = 'b.example'\n[limits]",
            "signing.service_domain",
            "b.example",
        ),
    ],
)
def test_live_settings_are_in_force_at_once(old: str, new: str, path: str, value: Any) -> None:
    settings, waits = changed(old, new)
    section, name = path.split(".")
    assert getattr(getattr(settings, section), name) == value
    assert waits == []


@pytest.mark.parametrize(
    ("old", "new", "waits"),
    [
        ('"a.example"', '"b.example"', ["[relay] hostname"]),
        ("[limits]", "[workers]\ncount = 7\ndrain = '1s'\n[limits]", ["[workers] count", "[workers] drain"]),
        ("[limits]", "[delivery]\nport = 26\nmax_age = '1h'\n[limits]", ["[delivery] port"]),
        ("[limits]", "[spool]\npath = 'x'\n[limits]", ["[spool] path"]),
        ("2525", "2526", ["[[listener]]"]),
        ("[limits]", "[[listener]]\naddress = '127.0.0.1:9'\ntls='none'\nauth='none'\n"
         "trusted_networks=['10.0.0.0/8']\naccount='x'\n[limits]", ["[[listener]]"]),
    ],
)  # fmt: skip
def test_the_rest_stays_as_it_was_and_is_named(old: str, new: str, waits: list[str]) -> None:
    settings, found = changed(old, new)
    assert found == waits
    boot = parse(BOOT, FILE)
    assert (settings.relay, settings.workers, settings.listener) == (boot.relay, boot.workers, boot.listener)
    assert (settings.spool.path, settings.delivery.port) == (boot.spool.path, boot.delivery.port)


def test_who_may_connect_is_live() -> None:
    settings, waits = changed('"10.0.0.0/8"', '"192.168.0.0/16"')
    assert [str(one) for one in settings.listener[0].trusted_networks] == ["192.168.0.0/16"]
    assert waits == []


def test_who_may_connect_waits_with_the_rest_of_its_listener() -> None:
    """Else a listener that becomes another kind would for a while be neither."""
    boot = parse(BOOT, FILE)
    now = parse(BOOT.replace("10.0.0.0/8", "192.168.0.0/16").replace("2525", "2526"), FILE)
    assert in_force(boot, now).listener == boot.listener


def marked() -> dict[str, bool]:
    """Each setting of the commented default, and whether it is marked [restart]: in its own line, in the
    comment above it, or in the one above its table."""
    found: dict[str, bool] = {}
    section, comment, of_table, after_setting = "", "", "", False
    for line in DEFAULTS.read_text().splitlines():
        table = re.match(r"#?\[\[?([a-z_.]+)\]\]?", line)
        setting = re.match(r"#?([a-z_]+) = ", line)
        if table:
            section, of_table, comment = table[1], comment, ""
        elif setting:
            found.setdefault(f"{section}.{setting[1]}", "[restart]" in comment + of_table + line)
            after_setting = True
        elif line.startswith("#"):
            comment = line if after_setting else comment + line
            after_setting = False
        else:
            comment = ""
    return found


def test_the_commented_default_marks_what_needs_a_restart() -> None:
    wrong = []
    for name, is_marked in marked().items():
        section, _, setting = name.rpartition(".")
        if section == "listener":
            continue  # in words there
        live = setting in LIVE.get(section, ()) or section in (
            "route",
            "tls_policy",
            "source",
            "source_pool",
            "signing.service_key",
        )
        if live is is_marked:
            wrong.append(name)
    assert wrong == []
    text = DEFAULTS.read_text()
    assert f"({', '.join(LIVE_OF_LISTENER)}) a reload takes over" in text


def test_live_settings_exist() -> None:
    for section, names in LIVE.items():
        fields = Config.model_fields[section].annotation.model_fields  # type: ignore[union-attr]
        assert set(names) <= set(fields)
