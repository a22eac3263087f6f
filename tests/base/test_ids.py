"""Message ids."""

import uuid

import pytest

from relay.base.ids import MessageIds, arrival_of, shard_of

NOW = 1_700_000_000.123


def test_an_id_tells_shard_and_arrival():
    made = MessageIds(0xABC).make(NOW)
    assert len(made) == 60
    assert made.startswith("0000018bcfe5687b-")
    assert made.endswith("-000abc")
    assert shard_of(made) == 0xABC
    assert arrival_of(made) == NOW


def test_the_middle_is_a_random_uuid():
    middle = uuid.UUID(MessageIds(0).make(NOW)[17:53])
    assert middle.version == 4
    assert middle.variant == uuid.RFC_4122


def test_ids_are_unique_beyond_the_pool():
    ids = MessageIds(1)
    assert len({ids.make(NOW) for _ in range(2000)}) == 2000


def test_ids_sort_by_arrival():
    ids = MessageIds(1)
    made = [ids.make(NOW + step / 100) for step in range(50)]
    assert made == sorted(made)


@pytest.mark.parametrize("shard", [-1, 0x1000000])
def test_a_shard_must_fit(shard):
    with pytest.raises(ValueError, match="six hexadecimal digits"):
        MessageIds(shard)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "junk",
        "0000018bcfe5687b-5b1c0000-0000-4000-8000-000000000000-00001",
        "0000018bcfe5687b-5b1c0000-0000-1000-8000-000000000000-000001",  # no version 4
        "0000018bcfe5687b-5b1c0000-0000-4000-c000-000000000000-000001",  # no RFC variant
        "0000018BCFE5687B-5b1c0000-0000-4000-8000-000000000000-000001",
        "0000018bcfe5687b-5b1c0000-0000-4000-8000-000000000000-000001\n",
    ],
)
def test_what_is_no_id(text):
    with pytest.raises(ValueError, match="is not a message id"):
        shard_of(text)
    with pytest.raises(ValueError, match="is not a message id"):
        arrival_of(text)


def test_an_id_is_as_long_as_it_says() -> None:
    assert {len(MessageIds(shard).make(now)) for shard in (0, 0xFFFFFF) for now in (0.0, 4e9)} == {60}
