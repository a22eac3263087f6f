"""One load on one side: start the source, wait until the sink has everything, put the figures together.

All times come from CLOCK_MONOTONIC, which source, sink and this process share, so that a message's way can be
measured across them by its number.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import time
from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from bench import procs
from bench.disk import DiskWatch
from bench.figures import transit

STALL_S = 30.0


class Side(Protocol):
    """A mail server under test."""

    name: str
    port: int
    root: Path  # where its queue or spool is

    @property
    def roots(self) -> list[int]:
        """The pids whose trees are the server."""
        ...

    def key_record(self) -> bytes:
        """The public key that its signatures verify with, as a DKIM TXT record."""
        ...


@dataclass(frozen=True, slots=True)
class Load:
    """What the source is to do; ``rate`` 0 is full speed."""

    messages: int
    size: int
    connections: int
    rate: float = 0.0
    port: int = 0  # 0: the side's own
    options: tuple[str, ...] = ()

    def words(self, port: int) -> list[str]:
        """The command line of the source, for a side that listens on ``port``."""
        words = [f"--port={self.port or port}", f"--connections={self.connections}"]
        words += [f"--messages={self.messages}", f"--size={self.size}", f"--rate={self.rate}"]
        return [*words, *self.options]


class SinkProcess:
    """The sink, from the outside. Use it as a context manager."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.sink"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
        self._unread = b""
        self.port = int(self._line(20)["port"])

    def _line(self, patience_s: float) -> dict[str, Any]:
        assert self._process.stdout is not None
        deadline = time.monotonic() + patience_s
        while b"\n" not in self._unread:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._process.stdout], [], [], left)[0]:
                return {}
            chunk = os.read(self._process.stdout.fileno(), 65536)
            if not chunk:
                raise RuntimeError("the sink has died")
            self._unread += chunk
        line, _, self._unread = self._unread.partition(b"\n")
        answer = json.loads(line)
        assert isinstance(answer, dict)
        return answer

    def _tell(self, command: str, key: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(command.encode() + b"\n")
        while answer := self._line(20):
            if key in answer:
                return answer
        raise RuntimeError(f"the sink did not answer {command!r}")

    def expect(self, run: int, count: int) -> None:
        """Count the messages of run ``run`` from now on."""
        self._tell(f"expect {run} {count}", "run")

    def sample(self, file: Path) -> None:
        """Write the next message that arrives to ``file``."""
        self._tell(f"sample {file}", "sample")

    def wait(self, run: int, scratch: Path) -> dict[str, Any]:
        """The report once all has arrived, or nothing for half a minute; ``scratch`` gets the times."""
        seen = -1
        while True:
            answer = self._line(STALL_S)
            if answer.get("done") == run:
                return self._tell(f"report {scratch}", "received")
            report = self._tell(f"report {scratch}", "received")
            if report["received"] == seen:
                return report
            seen = report["received"]

    def __enter__(self) -> SinkProcess:
        return self

    def __exit__(self, *_: object) -> None:
        with self._process as process:  # closes the pipes, then waits
            assert process.stdin is not None
            process.stdin.close()
            process.wait(10)


def run_load(side: Side, sink: SinkProcess, run: int, load: Load) -> dict[str, float]:
    """Run one load and return its figures. Raises RuntimeError if the source could not finish it."""
    os.sync()  # what the run before left to be written is not this one's to wait for
    sink.expect(run, load.messages)
    with (
        tempfile.TemporaryDirectory() as scratch,
        procs.RssWatch(side.roots) as memory,
        DiskWatch(side.root) as disk,
    ):
        times = Path(scratch) / "times"
        cpu_s, busy_s, began = procs.cpu_s(side.roots), procs.machine_busy_s(), time.monotonic()
        source = subprocess.run(
            [
                sys.executable,
                "-m",
                "bench.source",
                *load.words(side.port),
                f"--run={run}",
                f"--times={times}",
            ],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        sent = json.loads(source.stdout or '{"error": "the source has died"}')
        if "error" in sent:
            raise RuntimeError(f"{side.name}: {sent}")
        arrived = sink.wait(run, Path(scratch) / "arrived")
        took_s = time.monotonic() - began
        cpu_s = procs.cpu_s(side.roots) - cpu_s
        others_s = procs.machine_busy_s() - busy_s - cpu_s - sent["cpu_s"] - arrived["cpu_s"]
        source_times, sink_times = _doubles(times), _doubles(Path(scratch) / "arrived")
        pss_mb = procs.pss_mb(side.roots)
        disk_figures = disk.figures()
    sent_at, accepted_at = source_times[: load.messages], source_times[load.messages :]
    through = transit(accepted_at, sink_times)
    return {
        "messages": load.messages,
        "connections": load.connections,
        "rate": load.rate,
        "accepted_per_s": sent["accepted_per_s"],
        "delivered_per_s": arrived["received"] / max(arrived["last_at"] - min(sent_at), 1e-9),
        "accept_p50_ms": sent["accept_s"]["p50"] * 1e3,
        "accept_p99_ms": sent["accept_s"]["p99"] * 1e3,
        "accept_max_ms": sent["accept_s"]["max"] * 1e3,
        "transit_p50_ms": through.get("p50", 0.0) * 1e3,
        "transit_p99_ms": through.get("p99", 0.0) * 1e3,
        "lag_p99_ms": sent["lag_s"].get("p99", 0.0) * 1e3,
        "cpu_s_per_1000": cpu_s / load.messages * 1e3,
        "peak_rss_mb": memory.peak_sum_mb,
        "largest_rss_mb": memory.peak_one_mb,
        "pss_mb": pss_mb,
        "lost": load.messages - arrived["received"],
        "duplicates": arrived["duplicates"],
        "pushback": sent["pushback"],
        "tools_cpu_s_per_1000": (sent["cpu_s"] + arrived["cpu_s"]) / load.messages * 1e3,
        "others_cores": max(others_s, 0.0) / took_s,
        **disk_figures,
    }


def _doubles(path: Path) -> array[float]:
    values = array("d")
    values.frombytes(path.read_bytes())
    return values
