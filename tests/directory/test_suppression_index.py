"""The hashes of all entries: what was added is found, and nothing else."""

import random
import threading

from hypothesis import given
from hypothesis import strategies as st

from relay.directory.suppression_index import SuppressionIndex


@given(st.sets(st.tuples(st.integers(0, 2**31 - 1), st.text()), max_size=50), st.integers(0, 9), st.text())
def test_it_may_have_what_was_added(added: set[tuple[int, str]], list_of: int, listed: str) -> None:
    index = SuppressionIndex()
    for one in added:
        index.add(*one)
        index.add(*one)
    assert all(index.may_have(*one) for one in added)
    assert index.entries == len(added)
    assert index.may_have(list_of, listed) == ((list_of, listed) in added)


def test_many_are_told_apart_and_take_eight_bytes_each() -> None:
    index = SuppressionIndex()
    for n in range(20_000):
        index.add(n % 3, f"user{n}@example.org")
    assert all(index.may_have(n % 3, f"user{n}@example.org") for n in range(20_000))
    assert not any(index.may_have((n + 1) % 3, f"user{n}@example.org") for n in range(20_000))
    assert index.size_bytes == 160_000


def test_who_looks_up_while_another_adds_misses_nobody() -> None:
    index, stop = SuppressionIndex(), threading.Event()
    for n in range(2_000):
        index.add(1, str(n))

    def add() -> None:
        n = 2_000
        while not stop.is_set():
            index.add(1, str(n))
            n += 1

    thread = threading.Thread(target=add)
    thread.start()
    try:
        order = list(range(2_000))
        for _ in range(10):
            random.shuffle(order)
            assert all(index.may_have(1, str(n)) for n in order)
    finally:
        stop.set()
        thread.join()
