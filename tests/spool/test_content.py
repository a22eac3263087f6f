"""Content proves itself by length and checksum, in rows and in files."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.base.errors import SpoolCorrupt
from relay.base.events import Change
from relay.spool import content, rows, schema
from tests.fakes.spool import message


@given(st.binary(max_size=200))
def test_a_checksum_fits_sqlite(text: bytes) -> None:
    assert 0 <= content.checksum(text) < 2**63


@given(st.binary(min_size=1, max_size=200), st.data())
def test_any_flipped_bit_shows(text: bytes, data) -> None:
    at = data.draw(st.integers(0, len(text) * 8 - 1))
    flipped = bytearray(text)
    flipped[at // 8] ^= 1 << at % 8
    assert content.checksum(bytes(flipped)) != content.checksum(text)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / content.FOLDER).mkdir()
    return tmp_path


@pytest.mark.parametrize("is_large", [False, True])
@pytest.mark.parametrize(
    ("now_is", "is_damaged"),
    [
        (b"0123456789", False),
        (b"0123456780", True),
        (b"012345678", True),
        (b"01234567890", True),
        (b"", True),
    ],
)
def test_read(folder: Path, is_large: bool, now_is: bytes, is_damaged: bool) -> None:
    connection = schema.open_writer(folder)
    one, other = message(content=b"0123456789"), message(content=b"other")
    one.key, other.key, one.is_large = 1, 2, is_large
    connection.execute("BEGIN")
    rows.write(connection, [Change(stored=[one, other])])
    connection.execute("COMMIT")
    if is_large:
        content.write_files(folder, [(one.id, now_is)])
    else:
        connection.execute("UPDATE body SET content = ? WHERE key = 1", (now_is,))
    found = content.read(connection, folder, [1, 2, 3])
    connection.close()
    assert set(found) == {1, 2}
    assert found[2] == b"other"
    assert isinstance(found[1], SpoolCorrupt) == is_damaged
    if not is_damaged:
        assert found[1] == (content.file_of(folder, one.id) if is_large else b"0123456789")


def test_writing_again_replaces(folder: Path) -> None:
    """After a failed transaction the file is written once more."""
    content.write_files(folder, [("a", b"a long first try")])
    content.write_files(folder, [("a", b"second")])
    assert content.file_of(folder, "a").read_bytes() == b"second"
