"""What `config check` finds that the text alone does not tell."""

from collections.abc import Callable
from pathlib import Path

import pytest

from relay.base.errors import ConfigError
from relay.daemon import first
from relay.daemon.settings.config import load
from relay.daemon.supervisor import files

NOT_FIT = "not fit\n"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    first.make(folder, first.Choices("mail.example.com"))
    return folder


def wrong(folder: Path, tmp_path: Path, change: Callable[[str], str], **contents: str) -> list[str]:
    """The lines of the error, without the file's name, after the configuration was changed."""
    text = (folder / "relay.toml").read_text()
    for name in ("tls.crt", "tls.key", "service.pem", "relay.key"):
        text = text.replace(f'"{name}"', f'"{folder / name}"')
    for name, content in contents.items():
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(0o600)
    file = tmp_path / "relay.toml"
    file.write_text(change(text))
    try:
        files.check(load(file))
    except ConfigError as error:
        lines = str(error).splitlines()
        assert all(line.startswith(f"{file}: ") for line in lines)
        return [line.removeprefix(f"{file}: ") for line in lines]
    return []


def in_place_of(name: str, other: Path) -> Callable[[str], str]:
    def change(text: str) -> str:
        return "\n".join(
            f"{line.partition('=')[0]}= '{other}'" if name in line else line for line in text.split("\n")
        )

    return change


def route(more: str) -> Callable[[str], str]:
    return lambda text: f"{text}\n[[route]]\ndomain = '*'\nnext_hop = 'h.example:25'\n{more}"


def delivery(line: str) -> Callable[[str], str]:
    return lambda text: f"{text}\n[delivery]\n{line}"


def test_what_init_made_is_fit(made: Path, tmp_path: Path) -> None:
    assert wrong(made, tmp_path, lambda text: text) == []


def test_each_wrong_file_is_named(made: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    cases: list[tuple[Callable[[str], str], str]] = [
        (in_place_of("tls.crt", tmp_path / "gone"), f"[tls] certificate: {tmp_path / 'gone'}: No such file"),
        (in_place_of("tls.key", bad), "cannot be loaded as PEM"),
        (in_place_of("relay.key", tmp_path / "gone"), "[directory] key_file: "),
        (in_place_of("service.pem", bad), f"[[signing.service_key]] file: {bad}: no RSA or Ed25519 key"),
        (route("tls = 'required'\nusername = 'u'\npassword_file = 'gone'"), '[[route]] domain "*": '),
        (route("[[route]]\ndomain = '*'\nnext_hop = 'i.example:25'"), 'domain "*" stands twice'),
        (route("[[route]]\ndomain = 'ex ample'\nnext_hop = 'i.example:25'"), 'domain "ex ample"'),
        (delivery(f"ca_file = '{bad}'"), "[delivery] ca_file: "),
        (delivery("resolver = 'ns.example.com:53'"), "[delivery] resolver: "),
    ]
    for change, said in cases:
        (line,) = wrong(made, tmp_path, change, bad=NOT_FIT)
        assert said in line


def test_all_at_once(made: Path, tmp_path: Path) -> None:
    def change(text: str) -> str:
        return in_place_of("service.pem", tmp_path / "bad")(in_place_of("tls.crt", tmp_path / "bad")(text))

    assert len(wrong(made, tmp_path, change, bad=NOT_FIT)) == 2


def test_a_password_that_others_may_read_is_refused(made: Path, tmp_path: Path) -> None:
    change = route("tls = 'required'\nusername = 'u'\npassword_file = 'p'")
    assert wrong(made, tmp_path, change, p="secret\n") == []
    (tmp_path / "p").chmod(0o644)
    with pytest.raises(ConfigError) as caught:
        files.check(load(tmp_path / "relay.toml"))
    assert "chmod 600" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_credential_is_used_where_the_service_got_it(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = tmp_path / "credentials"
    given.mkdir()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(given))
    change = in_place_of("tls.key", Path("credential:tls.key"))
    (line,) = wrong(made, tmp_path, change)  # once, not also as a file that is missing
    assert line.startswith(
        '"credential:tls.key": the service was not given it; add LoadCredential=tls.key:PATH'
    )
    (given / "tls.key").write_bytes((made / "tls.key").read_bytes())
    assert wrong(made, tmp_path, change) == []
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    (line,) = wrong(made, tmp_path, change)
    assert "credentials are there while relay.service runs" in line


NAMED = "[relay]\nhostname = 'mail.example.com'\n"
PORT = "[[listener]]\naddress = '127.0.0.1:25'\nrole = 'inbound'\n"
SUBMISSION = (
    "[[listener]]\naddress = '127.0.0.1:26'\ntls = 'none'\nauth = 'none'\n"
    "trusted_networks = ['10.0.0.0/8']\naccount = 'a'\n"
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[relay]\nhostname = 'mail'", ["receivers refuse such a name", "only `relay send`"]),
        (
            "[relay]\nhostname = 'localhost.localdomain'",
            ["receivers refuse such a name", "only `relay send`"],
        ),
        ("[relay]\nhostname = 'mail.example.com'", ["only `relay send`"]),
        (
            "[relay]\nhostname = 'mail.example.com'\n[http]\nlisten = '127.0.0.1:8080'",
            ["only `relay send`", "without [verification] url"],
        ),
        (
            "[relay]\nhostname = 'mail.example.com'\n[http]\nlisten = '127.0.0.1:8080'\n"
            "[verification]\nurl = 'https://mail.example.com/relay'",
            ["only `relay send`"],
        ),
        (NAMED + PORT, ["postmaster is not a mailbox elsewhere"]),
        (NAMED.replace("\n", "\npostmaster = 'a@people.example'\n", 1) + PORT, []),
        (
            NAMED + SUBMISSION + "[signing]\nservice_domain = 's.example'\nreturn_path = 'relay'\n",
            ["not heard"],
        ),
    ],
)
def test_remarks(text: str, said: list[str], tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text(text)
    found = files.remarks(load(tmp_path / "r.toml"))
    assert len(found) == len(said)
    assert all(part in line for part, line in zip(said, found, strict=True))


def test_a_client_certificate_that_is_none(made: Path, tmp_path: Path) -> None:
    (line,) = wrong(
        made, tmp_path, route(f'tls = "required"\nclient_certificate = "{tmp_path}/c"\n'), c=NOT_FIT
    )
    assert line.startswith('[[route]] domain "*": client certificate')


def test_a_tls_policy_that_stands_twice(made: Path, tmp_path: Path) -> None:
    twice = 2 * '[[tls_policy]]\ndomain = "example.org"\n'
    (line,) = wrong(made, tmp_path, lambda text: f"{text}\n{twice}")
    assert line == '[[tls_policy]] domain "example.org" stands twice; remove one'


def test_every_fault_of_the_rules_for_receivers_is_named(made: Path, tmp_path: Path) -> None:
    def same(text: str) -> str:
        return text

    assert wrong(made, tmp_path, same, **{"shaping.toml": "[default]\nconnections = 5\n"}) == []
    found = wrong(made, tmp_path, same, **{"shaping.toml": '[default]\nconections = 5\nrate = "fast"\n'})
    file = tmp_path / "shaping.toml"
    assert [line.partition(": ")[0] for line in found] == [str(file)] * 2
    assert "[default] conections: unknown key; did you mean 'connections'?" in found[0] + found[1]
    assert "[default] rate: 'fast' is not a rate" in found[0] + found[1]
