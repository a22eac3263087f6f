"""The source straight into the sink: the tools alone, each a process, in the way the benchmark runs them."""

import os
from pathlib import Path

import pytest

from bench.content import SENDER, read_marker
from bench.round import Load, SinkProcess, run_load


class Straight:
    """A side without a server: what the source sends, the sink gets."""

    name = "straight"

    def __init__(self, port, root):
        self.port = port
        self.root = root
        self.roots = [os.getpid()]

    def key_record(self):
        return b""


@pytest.fixture
def here(monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[2])


@pytest.mark.usefixtures("here")
def test_every_message_is_counted_once(tmp_path):
    with SinkProcess() as sink:
        side = Straight(sink.port, tmp_path)
        sink.sample(tmp_path / "sample")
        figures = run_load(side, sink, 1, Load(50, 4096, 4))
        assert (figures["messages"], figures["lost"], figures["duplicates"]) == (50, 0, 0)
        assert 0 < figures["accept_p50_ms"] <= figures["accept_p99_ms"] <= figures["accept_max_ms"]
        sample = (tmp_path / "sample").read_bytes()
        assert read_marker(sample)[0] == 1
        assert SENDER.encode() in sample
        assert sample.endswith(b"\r\n")
        assert not sample.endswith(b".\r\n\r\n")

        paced = run_load(side, sink, 2, Load(40, 102400, 4, rate=400.0))
        assert paced["lost"] == 0
        assert paced["accepted_per_s"] < 500
        assert 0 < paced["disk_p99_ms"] <= paced["disk_max_ms"]


@pytest.mark.usefixtures("here")
def test_a_server_that_is_not_there_is_an_error(tmp_path):
    with SinkProcess() as sink, pytest.raises(RuntimeError, match="straight"):
        run_load(Straight(1, tmp_path), sink, 1, Load(1, 4096, 1))
