"""A disk that fills up."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes import disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 80 MB in memory, of which a file ``ballast`` takes 24."""
    with disk.small_disk(tmp_path / "disk", "80M") as folder:
        (folder / "ballast").write_bytes(bytes(24 << 20))
        yield folder
