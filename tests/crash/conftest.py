"""A disk that fills up."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes import disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 MB in memory, of which a file ``ballast`` takes 64."""
    with disk.small_disk(tmp_path / "disk", "256M") as folder:
        (folder / "ballast").write_bytes(bytes(64 << 20))
        yield folder
