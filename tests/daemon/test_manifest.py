"""The manifest: what is written is what is read, and nothing in it leads out of its folder."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.base.errors import BackupError
from relay.daemon.backup.manifest import FORMAT, PARTS, Entry, Folder, Manifest, parse

words = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1).filter(
    lambda word: word not in (".", "..")
)
names = st.builds(
    lambda part, rest: "/".join([part, *rest]), st.sampled_from(PARTS), st.lists(words, min_size=1)
)
counts = st.integers(0, 2**53)
paths = words.map(lambda word: f"/{word}")
folders = st.builds(Folder, paths, st.integers(0, 0o7777), words, words)
entries = st.builds(Entry, names, paths, counts, words, st.integers(0, 0o777), words, words)
times = st.floats(0, 4e9)
manifests = st.builds(
    Manifest,
    relay=words,
    host=words,
    began_at=times,
    ended_at=times,
    configuration=folders,
    spool=folders,
    directory=st.none() | folders,
    has_keys=st.booleans(),
    schemas=st.dictionaries(words, counts),
    messages=counts,
    recipients=counts,
    by_state=st.dictionaries(words, counts),
    finished_meanwhile=counts,
    notes=st.lists(words),
    lacking=st.lists(words),
    files=st.lists(entries, unique_by=lambda one: one.name, max_size=5),
)


@given(manifests)
def test_read_as_written(manifest: Manifest) -> None:
    assert parse(manifest.text()) == manifest


def made(**changed: object) -> bytes:
    folder = {"path": "/x", "mode": 0o750, "user": "u", "group": "g"}
    table = {
        "format": FORMAT,
        "relay": "1",
        "host": "h",
        "began_at": 1.0,
        "ended_at": 2.0,
        "configuration": folder,
        "spool": folder,
        "directory": None,
        "has_keys": True,
        "schemas": {},
        "messages": 0,
        "recipients": 0,
        "by_state": {},
        "finished_meanwhile": 0,
        "notes": [],
        "files": [],
    }
    return json.dumps({**table, **changed}).encode()


def entry(name: str) -> dict[str, object]:
    return {"name": name, "path": "/x", "size": 1, "sha256": "", "mode": 0, "user": "u", "group": "g"}


def test_the_words_of_a_file() -> None:
    (one,) = parse(made(files=[entry("spool/shard-000001/spool.db")])).files
    assert (one.part, one.is_database) == ("spool", True)
    (one,) = parse(made(files=[entry("spool/shard-000001/corrupt/18/spool.db")])).files
    assert (one.part, one.is_database) == ("spool", False)
    (one,) = parse(made(files=[entry("configuration/relay.toml")])).files
    assert (one.part, one.is_database) == ("configuration", False)


@pytest.mark.parametrize(
    "name",
    [
        "spool",
        "spool/",
        "../x",
        "spool/../../etc/passwd",
        "/etc/passwd",
        "else/x",
        "spool//x",
        "spool/./x",
        "",
    ],
)
def test_a_name_that_leads_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(BackupError, match="is no file of a backup"):
        parse(made(files=[entry(name)]))


@pytest.mark.parametrize("path", ["", "x", "../x", "/etc/relay/../cron.d/x", "/.."])
def test_a_path_is_what_it_looks_like(path: str) -> None:
    with pytest.raises(BackupError, match="which no backup has"):
        parse(made(files=[entry("configuration/x") | {"path": path}]))
    with pytest.raises(BackupError, match="which no backup has"):
        parse(made(spool={"path": path, "mode": 0o750, "user": "u", "group": "g"}))


def test_no_file_comes_back_that_runs_as_its_owner() -> None:
    (one,) = parse(made(files=[entry("configuration/x") | {"mode": 0o6755}])).files
    assert one.mode == 0o755


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "cannot be read"),
        (b"[]", "cannot be read"),
        (b"{}", "cannot be read: KeyError"),
        (made()[:-5], "cannot be read"),
        (made(spool=7), "cannot be read"),
        (made(files=[{"name": "spool/x"}]), "cannot be read"),
        (made(surplus=1), "cannot be read"),
        (made(format=FORMAT + 1, relay="9.9"), "made by relay 9.9 in a format that this one does not know"),
        (made(files=[entry("spool/x"), entry("spool/x")]), "names a file twice"),
    ],
)
def test_what_is_no_manifest(text: bytes, said: str) -> None:
    with pytest.raises(BackupError, match=said):
        parse(text)
