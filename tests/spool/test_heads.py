"""The header of what waits, from the database and from a file of its own."""

from dataclasses import replace

import pytest

from relay.base.errors import SpoolError
from relay.spool import views
from relay.spool.heads import HEAD_BYTES, head
from tests.fakes.spool import NOW, message, storing


@pytest.mark.parametrize("is_large", [False, True])
async def test_the_beginning_of_the_content(shards, is_large):
    shard = await shards.open(1)
    one = message("a@example.org", now=NOW)
    one.content = b"DKIM-Signature: d=x\r\n\r\n" + b"x" * (2_000_000 if is_large else 100)
    one.size_bytes = len(one.content)
    await shard.commit(storing(one))
    shown = views.show(shards.path, one.id)
    assert shown is not None
    assert head(shards.path, shown) == one.content[:HEAD_BYTES]


async def test_what_has_left_and_what_cannot_be_read(shards):
    shard = await shards.open(1)
    one = message("a@example.org", now=NOW)
    await shard.commit(storing(one))
    shown = views.show(shards.path, one.id)
    assert shown is not None
    assert head(shards.path, replace(shown, key=shown.key + 1, id=shown.id[:-8] + "0-000001")) is None
    with pytest.raises(SpoolError, match="cannot read the content of"):
        head(shards.path / "nowhere", shown)
