"""What differs between a relay that runs and its file: setting by setting, and no password shown."""

from pathlib import Path

import pytest

from relay.daemon.settings.changes import in_force
from relay.daemon.settings.config import Config, parse
from relay.daemon.settings.difference import ABSENT, Difference, differences, masked

BASE = "[relay]\nhostname='m.example'\n[tls]\ncertificate='c'\nprivate_key='k'\n"
LISTENER = "[[listener]]\naddress='127.0.0.1:587'\n"
SIGNING = "[signing]\nservice_domain='m.example'\n"
ROUTE = "[[route]]\ndomain='a.example'\nnext_hop='h:25'\n"
TRUSTED = LISTENER + "tls='none'\nauth='none'\naccount='a'\ntrusted_networks=['127.0.0.0/8']\n"


def read(text: str) -> Config:
    return parse(BASE + text, Path("/etc/relay/relay.toml"))


def told(boot: str, file: str, text: str | None = None) -> list[tuple[str, str, str, str]]:
    """``text``: what was reloaded since the start."""
    running = in_force(read(boot), read(boot if text is None else text))
    found = differences(read(boot), running, read(file))
    return [(one.setting, one.running, one.file, one.takes) for one in found]


@pytest.mark.parametrize("text", ["", LISTENER, ROUTE, TRUSTED])
def test_the_same_is_no_difference(text: str) -> None:
    assert told(text, text) == []


@pytest.mark.parametrize(
    ("boot", "file", "found"),
    [
        ("", "[delivery]\nmax_age='1h'\n", ("[delivery] max_age", "50400", "3600", "reload")),
        ("", "[workers]\ncount=7\n", ("[workers] count", "0", "7", "restart")),
        ("", "[log]\nlevel='debug'\n", ("[log] level", "info", "debug", "reload")),
        ("", "[metrics]\nlisten=''\n", ("[metrics] listen", "127.0.0.1:9125", '""', "restart")),
        (
            "",
            ROUTE,
            ('[[route]] "a.example"', ABSENT, "domain = a.example, next_hop = h:25", "reload"),
        ),
        (
            ROUTE,
            ROUTE.replace("h:25", "i:26"),
            ('[[route]] "a.example" next_hop', "h:25", "i:26", "reload"),
        ),
        (ROUTE, "", ('[[route]] "a.example"', "domain = a.example, next_hop = h:25", ABSENT, "reload")),
        (
            "",
            LISTENER,
            ('[[listener]] "127.0.0.1:587"', ABSENT, "address = 127.0.0.1:587", "restart"),
        ),
        (
            TRUSTED,
            TRUSTED.replace("127.0.0.0/8", "10.0.0.0/8"),
            ('[[listener]] "127.0.0.1:587" trusted_networks', "127.0.0.0/8", "10.0.0.0/8", "reload"),
        ),
        (
            SIGNING,
            SIGNING + "[[signing.service_key]]\nselector='s'\nfile='f.pem'\n",
            ('[[signing.service_key]] "s"', ABSENT, "selector = s, file = /etc/relay/f.pem", "reload"),
        ),
        (
            "[directory]\nurl='postgresql://relay:one@db/x'\n",
            "[directory]\nurl='postgresql://relay:two@db/x'\n",
            (
                "[directory] url",
                "postgresql://relay:***@db/x",
                "(another password, not shown)",
                "restart",
            ),
        ),
    ],
)
def test_each_setting_with_both_values_and_what_it_takes(
    boot: str, file: str, found: tuple[str, str, str, str]
) -> None:
    assert told(boot, file) == [found]


def test_what_a_reload_took_over_is_no_difference_and_what_it_could_not_is() -> None:
    changed = "[delivery]\nmax_age='1h'\n[workers]\ncount=7\n"
    assert told("", changed, changed) == [("[workers] count", "0", "7", "restart")]
    assert told("", "", changed) == [("[delivery] max_age", "3600", "50400", "reload")]


def test_one_route_more_is_one_difference_and_an_order_is_one() -> None:
    other = ROUTE.replace("a.example", "b.example")
    assert [one[0] for one in told(ROUTE, other + ROUTE)] == ['[[route]] "b.example"']
    assert told(ROUTE + other, other + ROUTE) == [
        ("[[route]] order", "a.example, b.example", "b.example, a.example", "reload")
    ]
    twice = ROUTE + ROUTE.replace("h:25", "i:25")
    assert [one[0] for one in told(ROUTE, twice)] == ['[[route]] "a.example#2"']


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:p@ss@h/d", "postgresql://u:***@h/d"),
        ("postgresql+psycopg://u:se/cr?et#@h:5432/d", "postgresql+psycopg://u:***@h:5432/d"),
        (
            "postgresql://h/d?user=u&password=s/e@c&connect_timeout=5",
            "postgresql://h/d?user=u&password=***&connect_timeout=5",
        ),
        ("postgresql://h/d?sslPassword=secret", "postgresql://h/d?sslPassword=***"),
        ("postgresql://u@h/d", "postgresql://u@h/d"),
        ("sqlite:////var/lib/relay/directory.db", "sqlite:////var/lib/relay/directory.db"),
        ("https://example.com:8443/hook", "https://example.com:8443/hook"),
    ],
)
def test_passwords_of_urls_are_masked(url: str, shown: str) -> None:
    assert masked(url) == shown


def test_a_difference_says_what_takes_it_over() -> None:
    assert Difference("s", "a", "b", "reload").takes == "reload"
