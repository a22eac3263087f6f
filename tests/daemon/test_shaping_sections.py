"""shaping.toml: what is shipped, what is inherited, and what is said of mistakes."""

from pathlib import Path

import pytest

from relay.base.errors import ConfigError
from relay.base.route import Host, Route, Source
from relay.daemon.settings import config
from relay.daemon.settings.shaping_sections import load, parse, path_of
from relay.traffic.site_rule import SiteRule

CONF = Path(__file__).parents[2] / "conf"
BASE = SiteRule(20, 1000)


def site(*hosts: str, source: str = "") -> Route:
    return Route("mx:" + ",".join(hosts), tuple(Host(name) for name in hosts), source=Source(source))


def test_what_is_shipped_knows_the_big_providers() -> None:
    shaping = parse((CONF / "shaping.toml").read_text(), BASE)
    found = {
        host: (
            one.name,
            one.connections,
            one.messages_per_connection,
            one.recipients_per_message,
            one.is_rollup,
        )
        for host in (
            "gmail-smtp-in.l.google.com",
            "outlook-com.olc.protection.outlook.com",
            "contoso-com.mail.protection.outlook.com",
            "mta5.am0.yahoodns.net",
            "mx01.mail.icloud.com",
            "mx1.mxge.comcast.net",
            "smtp-in.orange.fr",
            "mx00.gmx.net",
            "mx00.t-online.de",
            "mx.example.org",
        )
        for one in [shaping.rule(site(host))]
    }
    assert found == {
        "gmail-smtp-in.l.google.com": ("google", 10, 50, 100, True),
        "outlook-com.olc.protection.outlook.com": ("outlook", 20, 50, 100, True),
        "contoso-com.mail.protection.outlook.com": ("microsoft-365", 20, 50, 100, True),
        "mta5.am0.yahoodns.net": ("yahoo", 10, 20, 100, True),
        "mx01.mail.icloud.com": ("apple", 10, 20, 100, False),
        "mx1.mxge.comcast.net": ("comcast", 20, 100, 100, False),
        "smtp-in.orange.fr": ("orange", 2, 100, 100, False),
        "mx00.gmx.net": ("gmx", 5, 50, 100, True),
        "mx00.t-online.de": ("t-online", 5, 50, 100, False),
        "mx.example.org": ("", 20, 100, 100, False),
    }


def test_the_examples_in_its_comments_are_right() -> None:
    lines = (CONF / "shaping.toml").read_text().splitlines()
    examples = [
        line.removeprefix("#") if line.startswith("#") and not line.startswith("# ") else line
        for line in lines
    ]
    shaping = parse("\n".join(examples), BASE)
    assert shaping.rule(site("mx.example.org", source="bulk")).connections == 5
    apart = shaping.set_apart("a.example.org", site("mx.example.org"))
    assert shaping.rule(apart) == SiteRule(1, 100, 10 / 60, 100, "small")


def test_what_is_left_out_is_inherited() -> None:
    shaping = parse(
        """
        [default]
        connections = 8
        rate = "2/s"
        [default.source.bulk]
        rate = "1/s"
        messages_per_connection = 5
        [[rule]]
        name = "a"
        mx = ["*.A.example."]
        connections = 3
        [rule.source.slow]
        rate = "6/min"
        """,
        BASE,
    )
    assert shaping.rule(site("x.example")) == SiteRule(8, 1000, 2.0)
    assert shaping.rule(site("x.example", source="bulk")) == SiteRule(8, 5, 1.0)
    assert shaping.rule(site("mx.a.example")) == SiteRule(3, 1000, 2.0, name="a")
    assert shaping.rule(site("mx.a.example", source="bulk")) == SiteRule(3, 5, 1.0, name="a")
    assert shaping.rule(site("mx.a.example", source="slow")) == SiteRule(3, 1000, 0.1, name="a")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("default = 3", "default: "),
        ("[default]\nconections = 3", "[default] conections: unknown key; did you mean 'connections'?"),
        ("[default]\nconnections = 0", "[default] connections: Input should be greater than or equal to 1"),
        ("[defaults]\n", "defaults: unknown key; did you mean 'default'?"),
        ('[[rule]]\nname = "a"\nmx = ["a.example"]\nrate = 5', '[[rule]] "a" rate: 5 is not a rate: write'),
        ('[[rule]]\nname = "a"\nmx = ["a.example"]\nrate = "0/s"', "is not a rate"),
        ('[[rule]]\nname = "a"', '[[rule]] "a": names no receiver; give mx, domain or next_hop'),
        ('[[rule]]\nmx = ["a.example"]', "[[rule]] number 1 name: Field required"),
        ('[[rule]]\nname = "a"\nmx = ["*a.example"]', '[[rule]] "a" mx: "*a.example" is no name of a host'),
        ('[[rule]]\nname = "A b"\nmx = ["a.example"]', 'name: "A b" is no name'),
        ('[[rule]]\nname = "a"\ndomain = ["a.example"]\nrollup = true', "rollup joins sites that mx matches"),
        (
            '[[rule]]\nname = "a"\nmx = ["a.example"]\n[rule.source.bulk]\nrat = "1/s"',
            "[[rule]] \"a\" source.bulk rat: unknown key; did you mean 'rate'?",
        ),
        ("[[rule]", "not TOML: "),
    ],
)
def test_mistakes_name_table_key_and_fix(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, BASE)
    assert said in str(caught.value)


def configured(folder: Path, more: str = "") -> config.Config:
    text = f'[relay]\nhostname = "relay.example.org"\n[delivery]\nconnections_per_site = 6\n{more}'
    return config.parse(text, folder / "relay.toml")


def test_the_file_beside_the_configuration_is_found(tmp_path: Path) -> None:
    assert path_of(configured(tmp_path)) is None
    assert load(configured(tmp_path)).rule(site("x.example")) == SiteRule(6, 1000)
    (tmp_path / "shaping.toml").write_text("[default]\nconnections = 2\n")
    assert load(configured(tmp_path)).rule(site("x.example")).connections == 2
    (tmp_path / "other.toml").write_text("[default]\nconnections = 3\n")
    named = configured(tmp_path, 'shaping = "other.toml"\n')
    assert load(named).rule(site("x.example")).connections == 3


def test_errors_name_the_file(tmp_path: Path) -> None:
    named = configured(tmp_path, 'shaping = "none.toml"\n')
    with pytest.raises(ConfigError, match=r"\[delivery\] shaping: .*none\.toml: No such file"):
        load(named)
    (tmp_path / "none.toml").write_text("[default]\nx = 1\ny = 2\n")
    with pytest.raises(ConfigError) as caught:
        load(named)
    lines = str(caught.value).splitlines()
    assert [line.partition("none.toml: ")[2].split(":")[0] for line in lines] == [
        "[default] x",
        "[default] y",
    ]
