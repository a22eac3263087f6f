"""Where the files of a backup go."""

from dataclasses import replace
from pathlib import Path

import pytest

from relay.daemon.backup.manifest import Entry, Manifest, parse
from relay.daemon.backup.places import Places, is_there, part_of
from tests.daemon.test_manifest import entry, made

SYSTEM = {"configuration": "/etc/relay", "spool": "/var/spool/relay", "directory": "/var/lib/relay"}
ONE = {"configuration": "/srv/r", "spool": "/srv/r/spool", "directory": "/srv/r"}


def manifest(folders: dict[str, str]) -> Manifest:
    return parse(made(**{n: {"path": p, "mode": 0, "user": "u", "group": "g"} for n, p in folders.items()}))


def file(name: str, path: str) -> Entry:
    return Entry(**{**entry(name), "path": path})  # type: ignore[arg-type]


TOML, TLS = ("configuration/relay.toml", "/etc/relay/relay.toml"), ("configuration/elsewhere/tls/k", "/tls/k")
MAIL, KEY = ("spool/shard-000001/dots", "?"), ("directory/relay.key", "/var/lib/relay/relay.key")


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        (
            {},
            [
                "/etc/relay/relay.toml",
                "/tls/k",
                "/var/spool/relay/shard-000001/dots",
                "/var/lib/relay/relay.key",
            ],
        ),
        (
            {"spool": "/s"},
            ["/etc/relay/relay.toml", "/tls/k", "/s/shard-000001/dots", "/var/lib/relay/relay.key"],
        ),
        (
            {"directory": "/d", "configuration": "/c"},
            ["/c/relay.toml", "/tls/k", "/var/spool/relay/shard-000001/dots", "/d/relay.key"],
        ),
    ],
)
def test_where_they_were_or_as_told(named: dict[str, str], expected: list[str]) -> None:
    places = Places.of(manifest(SYSTEM), **{name: Path(path) for name, path in named.items()})
    assert [str(places.of_entry(file(*one))) for one in (TOML, TLS, MAIL, KEY)] == expected


def test_what_was_below_the_configuration_goes_along() -> None:
    places = Places.of(manifest(ONE), configuration=Path("/drill"))
    assert (places.spool, places.directory) == (Path("/drill/spool"), Path("/drill"))
    assert places.of_entry(file("directory/relay.key", "/srv/r/relay.key")) == Path("/drill/relay.key")
    assert places.of_entry(file("configuration/tls/key", "/srv/r/tls/key")) == Path("/drill/tls/key")
    assert places.unlike(manifest(ONE)) == []


def test_settings_that_no_longer_fit_are_told() -> None:
    places = Places.of(manifest(SYSTEM), spool=Path("/s"))
    assert places.unlike(manifest(SYSTEM)) == ["set [spool] path to what is now in /s"]
    places = Places.of(manifest(ONE), directory=Path("/d"), configuration=Path("/drill"))
    assert places.unlike(manifest(ONE)) == ["set [directory] key_file (and url) to what is now in /d"]


def test_a_directory_on_a_server_has_no_place() -> None:
    on_server = replace(manifest(SYSTEM), directory=None)
    places = Places.of(on_server)
    assert [place for place, _ in places.folders(on_server)] == [Path("/etc/relay"), Path("/var/spool/relay")]
    assert places.of_entry(file(*KEY)) == Path("/var/lib/relay/relay.key")


def test_parts_and_links(tmp_path: Path) -> None:
    assert part_of([]) == {"spool", "directory", "configuration"}
    assert part_of(["spool"]) == {"spool"}
    (tmp_path / "broken").symlink_to("nowhere")
    assert is_there(tmp_path / "broken")
    assert not is_there(tmp_path / "nowhere")
