"""A dead next hop, a hundred thousand messages for it, and then it comes up: what that costs.

In phases: *accept*, from ``bench.source``, while the next hop's port is closed; *rest*, in which retries go
round in vain; *drain*, from the moment the next hop listens, with a restart of the relay in its middle; until
the spool is empty. The resident memory of each worker is sampled all along. The receiver records each message
before it answers, so that at the end every message is accounted for: lost, or arrived once, or arrived twice
and then on the relay's list of uncertain ones.

Standard output ends with one line of JSON. Exit status 1 if a message is lost or doubled without being
listed, if a worker's memory passed 300 MB, or if the first delivery after the restart took 5 s or more.
``--crash`` restarts by killing every process instead of asking them to drain.

With two workers on two cores the rates are those of a machine that also runs the source and the receiver.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from bench import procs
from bench.content import DOMAIN, RECEIVER
from tests.crash import ledger
from tests.crash.rig import ROOT, Rig, SinkProcess, until
from tests.fakes.prepared import Port

WORST_RSS_MB = 300.0
WORST_RESTART_S = 5.0
DELIVERY = """
retry_schedule = ["5s", "10s"]
site_retry = "1s"
site_retry_max = "5s"
"""
_SAMPLE_S = 0.2
_MB = 1024 * 1024


@dataclass(slots=True)
class Memory:
    """Resident megabytes of the workers: the largest of all, and the largest of each phase."""

    rig: Rig
    phase: str = "start"
    peak_mb: float = 0.0
    by_phase: dict[str, float] = field(default_factory=dict)

    async def watch(self) -> None:
        """Sample until cancelled."""
        while True:
            processes = procs.read_all()
            for pid in self.rig.worker_pids() if self.rig.is_running else []:
                if pid in processes:
                    size_mb = round(processes[pid].rss_bytes / _MB, 1)
                    self.peak_mb = max(self.peak_mb, size_mb)
                    self.by_phase[self.phase] = max(self.by_phase.get(self.phase, 0.0), size_mb)
            await asyncio.sleep(_SAMPLE_S)


async def _inject(port: int, messages: int, size_bytes: int, connections: int) -> dict[str, float]:
    """Hand them all in; the source's figures. RuntimeError if not all were accepted."""
    source = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.source", "--port", str(port), "--messages", str(messages),
        "--size", str(size_bytes), "--connections", str(connections), "--patience", "1800",
        stdout=asyncio.subprocess.PIPE, cwd=ROOT,
    )  # fmt: skip
    try:
        out, _ = await source.communicate()
    finally:
        if source.returncode is None:
            source.kill()
    figures = json.loads(out.splitlines()[-1])
    if "error" in figures:
        raise RuntimeError(f"source: {figures}")
    return dict(figures)


def _arrivals(record: Path) -> int:
    """Messages on record, duplicates included."""
    if not record.exists():
        return 0
    with record.open("rb") as stream:
        return sum(block.count(b"\n") for block in iter(lambda: stream.read(1 << 20), b""))


async def run(
    folder: Path, messages: int, size_bytes: int, rest_s: float, is_crash: bool, connections: int = 40
) -> dict[str, object]:
    """All phases; returns the figures."""
    clock = time.monotonic
    figures: dict[str, object] = {"messages": messages, "size": size_bytes, "restart": "drain"}
    record = folder / "arrived"
    async with AsyncExitStack() as stack:
        held = Port()
        stack.callback(held.free)
        hop = held.number
        rig = stack.enter_context(Rig(folder / "relay", hop, delivery=DELIVERY, sending_domain=DOMAIN))
        rig.start()
        await rig.ready()
        memory = Memory(rig)
        watching = asyncio.get_running_loop().create_task(memory.watch())
        stack.callback(watching.cancel)

        memory.phase = "accept"
        accepted = await _inject(rig.port, messages, size_bytes, connections)
        figures["accept_s"] = round(accepted["seconds"], 2)
        figures["accepted_per_s"] = round(accepted["accepted_per_s"])
        figures["pushback"] = accepted["pushback"]

        memory.phase = "rest"
        cpu_s, began = procs.cpu_s(rig.worker_pids()), clock()
        await asyncio.sleep(rest_s)
        if rest_s:
            figures["rest_cpu"] = round((procs.cpu_s(rig.worker_pids()) - cpu_s) / (clock() - began), 2)
        figures["waiting"] = rig.waiting()

        memory.phase = "drain"
        sink = await SinkProcess.start(record, stack, "--port", str(hop), "--bench")
        up_at = clock()
        await until(lambda: _arrivals(record) > 0, 60.0, "a first delivery")
        figures["hop_up_to_first_delivery_s"] = round(clock() - up_at, 2)
        draining = clock()
        await until(lambda: _arrivals(record) >= messages // 3, 1800.0, "a third delivered")
        before_s = clock() - draining
        before = _arrivals(record)

        stopping = clock()
        if is_crash:
            figures["restart"] = "kill -9"
            rig.kill([rig.pid, *rig.worker_pids()])
            await rig.gone()
        else:
            await rig.stop()
        figures["stop_s"] = round(clock() - stopping, 2)
        count = _arrivals(record)
        figures["delivered_before_restart"] = count
        memory.phase = "after restart"
        started = clock()
        rig.start()
        await until(lambda: record.stat().st_size > 0 and _arrivals(record) > count, 60.0, "a delivery")
        figures["restart_to_first_delivery_s"] = round(clock() - started, 2)
        again, at = _arrivals(record), clock()
        await rig.ready()

        await until(lambda: _arrivals(record) >= messages, 1800.0, "all delivered")
        after_s = clock() - at
        after = _arrivals(record) - again
        await until(rig.is_empty, 120.0, "the spool is empty")
        figures["all_s"] = round(clock() - up_at, 2)
        figures["delivered_per_s"] = round((before + after) / (before_s + after_s))
        await rig.stop()

        arrived = ledger.count(record)
        expected = {f"user{number}@{RECEIVER}" for number in range(messages)}
        twice = [address for address, times in arrived.items() if times > 1]
        uncertain = rig.uncertain()
        figures |= {
            "delivered": len(expected & arrived.keys()),
            "lost": len(expected - arrived.keys()),
            "duplicates": len(twice),
            "duplicates_listed": sum(address in uncertain for address in twice),
            "uncertain_listed": len(uncertain),
            "faults": len(sink.faults),
            "tracebacks": rig.traceback_count(),
            "peak_worker_rss_mb": memory.peak_mb,
            "rss_mb_by_phase": memory.by_phase,
        }
    return figures


def is_good(figures: dict[str, object]) -> bool:
    """What was promised held."""
    return (
        not (figures["lost"] or figures["faults"] or figures["tracebacks"])
        and figures["duplicates"] == figures["duplicates_listed"]
        and float(str(figures["peak_worker_rss_mb"])) < WORST_RSS_MB
        and float(str(figures["restart_to_first_delivery_s"])) < WORST_RESTART_S
    )


def main() -> int:
    """``python -m bench.backlog --messages 100000``"""
    options = argparse.ArgumentParser(description="A backlog for a dead next hop, and its end.")
    options.add_argument("--messages", type=int, default=100_000)
    options.add_argument("--size", type=int, default=4096, help="bytes of content")
    options.add_argument("--rest", type=float, default=15.0, help="seconds between accept and drain")
    options.add_argument("--crash", action="store_true", help="restart by kill -9")
    options.add_argument("--folder", type=Path, help="where to work; kept")
    given = options.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="relay-backlog-"))
    folder.mkdir(parents=True, exist_ok=True)
    figures = asyncio.run(run(folder, given.messages, given.size, given.rest, given.crash))
    if given.folder is None:
        shutil.rmtree(folder)
    print(json.dumps({**figures, "good": is_good(figures)}))
    return 0 if is_good(figures) else 1


if __name__ == "__main__":
    sys.exit(main())
