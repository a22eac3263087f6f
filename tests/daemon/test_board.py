"""The board: what one worker writes, the others read."""

import os

import pytest

from relay.daemon.board import Board, SharedTally
from relay.ingress.connections import neighbourhood


@pytest.fixture
def board():
    made = Board.make(2)
    yield made
    made.close()


def tally(board: Board, worker: int, limit: int = 3, per_address: int = 2) -> SharedTally:
    return SharedTally(board, worker, limit, per_address, neighbourhood)


def test_a_heartbeat_is_told_to_the_tenth_of_a_second(board: Board) -> None:
    assert (board.last_beat(0), board.last_beat(1)) == (0, 0)
    board.beat(1, 1234.56)
    assert (board.last_beat(0), board.last_beat(1)) == (0, 1234.5)
    board.beat(0, 0.01)  # right after the machine has started
    assert board.last_beat(0) > 0


def test_connections_are_bounded_over_all_workers(board: Board) -> None:
    one, two = tally(board, 0), tally(board, 1)
    assert one.enter("192.0.2.1")
    assert two.enter("192.0.2.1")
    assert not one.enter("192.0.2.1")  # two per address
    assert not two.enter("192.0.2.1")
    assert two.enter("192.0.2.2")
    assert not one.enter("192.0.2.3")  # three in all
    one.leave("192.0.2.1")
    assert one.enter("192.0.2.3")
    assert board.connections() == 3


def test_a_network_of_ipv6_counts_as_one_client(board: Board) -> None:
    one = tally(board, 0)
    assert one.enter("2001:db8::1")
    assert one.enter("2001:db8::2")
    assert not one.enter("2001:db8::3")
    assert one.enter("2001:db8:0:1::1")


def test_what_a_dead_worker_held_is_free_again(board: Board) -> None:
    one, two = tally(board, 0), tally(board, 1)
    board.beat(0, 5.0)
    assert one.enter("192.0.2.1")
    assert two.enter("192.0.2.1")
    board.clear(0)
    assert (board.last_beat(0), board.connections()) == (0, 1)
    assert two.enter("192.0.2.1")
    assert not two.enter("192.0.2.1")


def test_another_process_sees_the_same(board: Board) -> None:
    other = Board(os.dup(board.descriptor), 2)
    board.beat(0, 7.0)
    assert other.last_beat(0) == 7.0
    other.close()
