"""The configuration: what is refused and how, and that the commented default tells the truth."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from relay.base.errors import ConfigError
from relay.daemon.settings.config import Config, Section, load, parse

ROOT = Path(__file__).parents[2]
DEFAULTS = ROOT / "conf" / "relay.toml"
HERE = Path("/etc/relay/relay.toml")

CERTIFICATE = '[tls]\ncertificate = "a.crt"\nprivate_key = "a.key"\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[spool]\npth = 'x'", "spool.pth: unknown setting; did you mean 'path'?"),
        ("[spol]\n", "spol: unknown setting; did you mean 'spool'?"),
        (
            "[spool]\nkeep_events = 9",
            "spool.keep_events: no longer counted: write [events] keep_for",
        ),
        ("[events]\nkeep_for = '23h'", 'events.keep_for: less than "24h": quotas and statistics count'),
        ("[workers]\nzzzz = 1", "workers.zzzz: unknown setting; known here: count, drain, heartbeat"),
        ("[delivery]\nmax_age = 5", "delivery.max_age: 5 is not a duration: write a number and a unit"),
        ("[delivery]\nmax_age = '5 years'", "delivery.max_age: '5 years' is not a duration"),
        ("[limits]\nmessage_size = 'big'", "limits.message_size: 'big' is not a size"),
        ("[metrics]\nlisten = '9125'", 'metrics.listen: "9125" is not host:port'),
        (
            "[metrics]\nlisten = '::1:9125'",
            'is not host:port, e.g. "mail.example.net:25" or, an IPv6 address in brackets',
        ),
        ("[workers]\ncount = -1", "workers.count: Input should be greater than or equal to 0"),
        ("[[listener]]\naddress = '127.0.0.1:25'\nadress = 'x'", "listener.0.adress: unknown setting"),
        ("[[listener]]\naddress = '127.0.0.1:25'\ntls = 'none'", "no password goes in clear"),
        ("[[listener]]\naddress = '127.0.0.1:25'\nauth = 'none'", "needs trusted_networks"),
        (
            "[[listener]]\naddress = '127.0.0.1:25'\nauth = 'none'\ntrusted_networks = ['10.0.0.0/8']",
            "needs account",
        ),
        ("[[listener]]\naddress = '127.0.0.1:25'\nproxy_protocol = true", "needs proxy_networks"),
        ("[[listener]]\naddress = '127.0.0.1:25'", "needs [tls] certificate and private_key"),
        ("[[route]]\ndomain = '*'\nnext_hop = 'x'", 'route.0.next_hop: "x" is not host:port'),
        (
            "[[route]]\ndomain = '*'\nnext_hop = 'x:25'\nusername = 'u'",
            "username and password_file go together",
        ),
        (
            "[[route]]\ndomain = '*'\nnext_hop = 'x:25'\nusername = 'u'\npassword_file = 'p'",
            "no password goes in clear",
        ),
        (
            "[[route]]\ndomain = '*'\nnext_hop = 'x:25'\ntls = 'required'\nclient_key = 'k'",
            "client_key needs client_certificate",
        ),
        (
            "[[route]]\ndomain = '*'\nnext_hop = 'x:25'\ntls = 'none'\nclient_certificate = 'c'",
            "client_certificate needs TLS",
        ),
        ("[[tls_policy]]\ndomain = '*'\nmode = 'wrapper'", 'mode = "wrapper" is for a [[route]]'),
        ("[[tls_policy]]\ndomain = '*'\nmode = 'verify'", "tls_policy.0.mode: Input should be"),
        ("[[signing.service_key]]\nselector = 's'\nfile = 'f'", "needs [signing] service_domain"),
        ("[delivery]\nretry_schedule = []", "retry_schedule needs at least one duration"),
        ("[tls_reports]\ncontact = 'nobody'", "tls_reports.contact: "),
        ("[delivery]\nmta_sts_port = 0", "delivery.mta_sts_port: "),
        ("[delivery\n", "not TOML"),
    ],
)
def test_refused(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, HERE)
    assert said in str(caught.value)
    assert str(caught.value).startswith("/etc/relay/relay.toml: ")


def test_all_errors_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        parse("[spool]\npth = 1\n[workers]\ncount = 'x'", HERE)
    assert len(str(caught.value).splitlines()) == 2


def test_relative_paths_are_relative_to_the_file() -> None:
    text = CERTIFICATE + "[spool]\npath='s'\n[directory]\nkey_file='k/relay.key'\n"
    text += "[signing]\nservice_domain='x.example'\n[[signing.service_key]]\nselector='s'\nfile='s.pem'\n"
    text += "[[route]]\ndomain='*'\nnext_hop='h:25'\ntls='required'\nusername='u'\npassword_file='p'\n"
    settings = parse(text, HERE)
    assert settings.tls.certificate == Path("/etc/relay/a.crt")
    assert settings.spool.path == Path("/etc/relay/s")
    assert settings.directory.url == "sqlite:////etc/relay/k/directory.db"
    assert settings.signing.service_key[0].file == Path("/etc/relay/s.pem")
    assert settings.route[0].password_file == Path("/etc/relay/p")


def test_a_relative_database_is_relative_to_the_file() -> None:
    assert parse("[directory]\nurl='sqlite:///d.db'", HERE).directory.url == "sqlite:////etc/relay/d.db"


def test_credentials_stand_in_place_of_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials/x.service")
    text = CERTIFICATE.replace("a.key", "credential:tls.key")
    route = '[[route]]\ndomain = "*"\nnext_hop = "h.example:25"\nusername = "u"\ntls = "required"\n'
    config = parse(text + route + 'password_file = "credential:password"', HERE)
    assert config.tls.certificate == Path("/etc/relay/a.crt")
    assert config.tls.private_key == Path("/run/credentials/x.service/tls.key")
    assert config.route[0].password_file == Path("/run/credentials/x.service/password")
    with pytest.raises(ConfigError, match=r"^/etc/relay/relay.toml: \"credential:a/b\" names no credential"):
        parse(CERTIFICATE.replace("a.key", "credential:a/b"), HERE)


def test_a_directory_is_not_made_among_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials/x.service")
    text = '[directory]\nkey_file = "credential:relay.key"\n'
    with pytest.raises(ConfigError, match=r"\[directory\] url: name it where key_file is a credential"):
        parse(text, HERE)
    assert parse(text + 'url = "sqlite:///d.db"', HERE).directory.url == "sqlite:////etc/relay/d.db"


def test_no_file_names_the_fix(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="relay init"):
        load(tmp_path / "none.toml")


def test_the_environment_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "r.toml"
    file.write_text("[workers]\ncount = 3\n")
    monkeypatch.setenv("RELAY_CONFIG", str(file))
    assert load().workers.effective_count == 3


def uncommented(text: str) -> str:
    """The default file with every setting switched on."""
    lines = []
    for line in text.splitlines():
        setting = re.match(r"#(\[\[?[a-z_.]+\]?\]|[a-z_]+ = )", line)
        lines.append(line[1:] if setting else line)
    return "\n".join(lines)


def test_the_commented_default_names_every_setting() -> None:
    table = tomllib.loads(uncommented(DEFAULTS.read_text()))
    missing: list[str] = []

    def walk(model: type[Section], found: Any, where: str) -> None:
        for name, field in model.model_fields.items():
            if where == "" and name == "path":
                continue
            if isinstance(found, list):
                if not any(name in one for one in found):
                    missing.append(f"{where}.{name}")
                continue
            if name not in found:
                missing.append(f"{where}.{name}")
                continue
            annotation = field.annotation
            inner = getattr(annotation, "__args__", (annotation,))[0]
            if isinstance(inner, type) and issubclass(inner, Section):
                walk(inner, found[name], f"{where}.{name}")

    walk(Config, table, "")
    assert missing == []


def test_the_commented_default_shows_the_defaults() -> None:
    """Switching a setting on changes nothing, but where the comment says that the site decides."""
    shown = parse(uncommented(DEFAULTS.read_text()), HERE)
    plain = parse(CERTIFICATE, HERE)
    decided = {"hostname", "certificate", "private_key", "service_key", "ca_file", "shaping"}
    for section in ("relay", "limits", "spool", "directory", "delivery", "workers", "metrics", "log"):
        a, b = getattr(shown, section), getattr(plain, section)
        for name in type(a).model_fields:
            if name not in decided and not (section == "directory" and name == "url"):
                assert getattr(a, name) == getattr(b, name), f"[{section}] {name}"


def test_the_commented_default_is_valid_as_it_stands() -> None:
    assert len(parse(DEFAULTS.read_text(), HERE).listener) == 2
