"""``python -m bench``: the relay against Postfix + OpenDKIM. ``QUICK=1`` (or ``--quick``): under a minute.

For each size both sides take turns at full speed, then take a fixed rate for the latencies: half of what the
relay can do, and for Postfix also half of what Postfix can do. Between turns the side that waits is idle but
running, as it would be on a real machine. A figure at full speed is the median over the rounds; a latency is
that of the round in which the disk itself stalled least (``disk``), since no server can promise before the
disk does. All rounds are in the JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench import machine, policy, proof, report
from bench.figures import merge
from bench.hook import Hook
from bench.postfix import Postfix
from bench.profile import Profile
from bench.profile import table as profile_table
from bench.round import Load, Side, SinkProcess, run_load
from bench.side import Relay, free_port

CALM_MS = 50.0  # one write of 4 KB beside the load takes no longer on a disk that does not stall
# messages of one round at full speed: about as many seconds on each side
FULL = {("relay", 4096): 30000, ("relay", 102400): 8000, ("postfix", 4096): 5000, ("postfix", 102400): 2500}
QUICK = {("relay", 4096): 6000, ("relay", 102400): 1500, ("postfix", 4096): 1200, ("postfix", 102400): 500}


class Bench:
    """One run: the sides, the sink, and the figures so far."""

    def __init__(self, given: argparse.Namespace, sink: SinkProcess, hook: Hook | None = None) -> None:
        self.given = given
        self.sink = sink
        self.hook = hook
        self.expected = 0  # notifications so far
        self.run = 0
        self.rounds: list[dict[str, Any]] = []
        self.full: dict[int, dict[str, dict[str, float]]] = {}
        self.half: dict[int, dict[str, dict[str, float]]] = {}

    def load(self, side: Side, what: str, load: Load) -> dict[str, float]:
        """Run one load, remember and show it."""
        self.run += 1
        figures = run_load(side, self.sink, self.run, load)
        if self.hook is not None and side.name == "relay":
            figures |= self.told(load.messages)
        self.rounds.append({"side": side.name, "what": what, "size": load.size, **figures})
        print(
            f"  {side.name:8}{what:18}{load.size // 1024:4} KiB{load.messages:7} messages"
            f"{figures['delivered_per_s']:8.0f}/s  accept p99 {figures['accept_p99_ms']:7.1f} ms"
            f"  CPU {figures['cpu_s_per_1000']:6.3f} s/1,000  others {figures['others_cores']:.2f} cores"
            f"  disk max {figures['disk_max_ms']:4.0f} ms",
            flush=True,
        )
        return figures

    def told(self, messages: int) -> dict[str, float]:
        """How far the webhook was when the mail was delivered, and how long the rest took: the other side is
        not to be measured while it goes on."""
        assert self.hook is not None
        began = time.monotonic()
        before = self.hook.tell("count")["ids"] - self.expected
        self.expected += messages
        after = self.hook.wait(self.expected)
        took_s = time.monotonic() - began
        print(
            f"           webhook: {before} of {messages} meanwhile, the rest {took_s:.1f} s later", flush=True
        )
        return {
            "told_meanwhile": before / messages,
            "told_after_s": took_s,
            "untold": self.expected - after["ids"],
            "told_twice": after["posts"] - after["ids"],
            "bad_signatures": after["bad"],
        }

    def prove(self, side: Side, scratch: Path) -> None:
        """One message of each side is verified. Raises RuntimeError if it is not signed as it should be."""
        self.sink.sample(scratch)
        self.load(side, "is it signed?", Load(1, 4096, 1))
        wrong = proof.check(scratch.read_bytes(), side.key_record())
        if wrong:
            raise RuntimeError(f"{side.name}: {wrong}")

    def messages(self, side: Side, size: int) -> int:
        """How many messages one round at full speed has."""
        if self.given.messages:
            return int(self.given.messages)
        table = QUICK if self.given.quick else FULL
        return table.get((side.name, size), max(table[(side.name, 4096)] * 4096 // size, 500))

    def connections(self, side: Side, size: int) -> int:
        """How many connections the source opens: for Postfix the number that suits it best."""
        if self.given.connections:
            return int(self.given.connections)
        if side.name != "postfix" or self.given.quick:
            return 40
        tries = {
            count: self.load(side, f"try {count}", Load(self.messages(side, size) // 3, size, count))
            for count in (10, 20, 40, 60)
        }
        return max(tries, key=lambda count: tries[count]["delivered_per_s"])

    def measure(self, sides: list[Side], size: int) -> None:
        """Both sides in turns at one size."""
        rounds: dict[str, list[dict[str, float]]] = {side.name: [] for side in sides}
        for side in sides:
            self.load(side, "warm-up", Load(min(self.messages(side, size) // 3, 2000), size, 40))
        connections = {side.name: self.connections(side, size) for side in sides}
        for number in range(self.given.rounds):
            for side in sides:
                load = Load(self.messages(side, size), size, connections[side.name])
                rounds[side.name].append(self.load(side, f"full speed {number + 1}", load))
        self.full[size] = {name: merge(figures) for name, figures in rounds.items()}
        self.half[size] = self.at_rates(sides, size)

    def at_rates(self, sides: list[Side], size: int) -> dict[str, dict[str, float]]:
        """The latencies: at half of the relay's greatest throughput, and for Postfix at half of its own."""
        best = {name: figures["delivered_per_s"] for name, figures in self.full[size].items()}
        seconds = 2 if self.given.quick else 8
        found = {}
        rate = best.get("relay", best.get("postfix", 0.0)) / 2
        for side in sides:
            # what it cannot keep up with is cut short: the figure is then how it bears an overload
            load = Load(int(min(rate, best[side.name]) * seconds), size, 80, rate)
            turns = 1 if side.name != "relay" else 3 if self.given.quick else 6
            found[side.name] = self.quietest(side, load, turns)
        if "postfix" in best and "relay" in best and not self.given.quick:
            own = best["postfix"] / 2
            side = next(side for side in sides if side.name == "postfix")
            load = Load(int(own * seconds), size, 80, own)
            found["postfix own half"] = self.quietest(side, load, 6)
        return found

    def quietest(self, side: Side, load: Load, most: int) -> dict[str, float]:
        """The round in which the disk itself stalled least, of at most so many: until there was one in which
        it did not. Both sides have the same right to a disk that works."""
        rounds: list[dict[str, float]] = []
        while len(rounds) < most and not any(one["disk_max_ms"] <= CALM_MS for one in rounds):
            rounds.append(self.load(side, f"{load.rate:.0f}/s", load))
        return min(rounds, key=lambda one: one["disk_max_ms"])

    def with_login(self, relay: Relay) -> None:
        """The relay with STARTTLS and AUTH on each connection, for comparison with its plain figure."""
        options = ("--tls", f"--auth={relay.login}")
        load = Load(self.messages(relay, 4096), 4096, 40, port=relay.auth_port, options=options)
        self.load(relay, "STARTTLS and AUTH", load)

    def profile(self, relay: Relay, size: int) -> None:
        """Where the workers' time goes, in a load of its own: the spy slows what it watches."""
        best = self.full[size]["relay"]["delivered_per_s"]
        spy = Profile(relay.workers(), seconds=8)
        self.load(relay, "profiled", Load(int(best * 8), size, 40))
        print(profile_table(spy.result()) + "\n")


def arguments() -> argparse.Namespace:
    """The command line."""
    options = argparse.ArgumentParser(prog="bench", description="The relay against Postfix + OpenDKIM.")
    options.add_argument("--quick", action="store_true", default=os.environ.get("QUICK", "") not in ("", "0"))
    options.add_argument("--only", choices=("relay", "postfix"), help="run one side")
    options.add_argument("--size", type=int, action="append", help="bytes of content; may be repeated")
    options.add_argument("--messages", type=int, default=0, help="messages of one round at full speed")
    options.add_argument("--connections", type=int, default=0, help="connections of the source")
    options.add_argument("--rounds", type=int, default=0, help="rounds at full speed (2; quick: 1)")
    options.add_argument("--workers", type=int, default=2, help="workers of the relay")
    options.add_argument("--profile", action="store_true", help="py-spy on the workers")
    options.add_argument("--login", action="store_true", help="also with STARTTLS and AUTH (relay only)")
    options.add_argument("--webhook", action="store_true", help="every delivery is told to a webhook")
    options.add_argument("--dir", type=Path, default=Path("/var/tmp"), help="where queue and spool live")
    options.add_argument("--keep", action="store_true", help="leave the directory in place")
    options.add_argument("--relay", default="", metavar="TOML", help="text to append to the relay's config")
    options.add_argument("--postfix", action="append", default=[], metavar="NAME=VALUE", help="main.cf")
    given = options.parse_args()
    given.rounds = given.rounds or (1 if given.quick else 2)
    given.size = given.size or [4096, 102400]
    return given


def interrupted(number: int, _frame: object) -> None:
    """SIGTERM leaves as an interrupt does: what was started is ended."""
    raise KeyboardInterrupt(number)


def main() -> int:
    """Run the benchmark; exit status 0 if every message arrived, 1 if not."""
    given = arguments()
    signal.signal(signal.SIGTERM, interrupted)
    with ExitStack() as stack:
        root = Path(tempfile.mkdtemp(prefix="relay-bench-", dir=given.dir))
        root.chmod(0o755)
        if not given.keep:
            stack.callback(shutil.rmtree, root, ignore_errors=True)
        facts = {
            "cores": len(os.sched_getaffinity(0)),
            "rsa2048_sign_us": machine.sign_us(),
            "fsync_ms": machine.fsync_ms(root),
            "file_system": machine.file_system(root),
        }
        costs = asyncio.run(policy.measure(1.0))
        print(
            f"{facts['cores']} cores; one RSA-2048 signature {facts['rsa2048_sign_us']:.0f} us; "
            f"one fsync {facts['fsync_ms']:.2f} ms on {facts['file_system']} ({given.dir})",
            flush=True,
        )
        print(policy.table(costs) + "\n", flush=True)
        sink = stack.enter_context(SinkProcess())
        hook = stack.enter_context(Hook(root)) if given.webhook else None
        bench = Bench(given, sink, hook)
        sides: list[Side] = []
        relay = None
        if given.only != "postfix":
            relay = Relay(root / "relay", free_port(), sink.port, given.workers, given.relay, hook)
            sides.append(stack.enter_context(relay))
        if given.only != "relay":
            why_not = Postfix.why_not()
            if why_not:
                print(f"  without Postfix: {why_not}", flush=True)
            else:
                overrides = dict(setting.split("=", 1) for setting in given.postfix)
                sides.append(
                    stack.enter_context(Postfix(root / "postfix", free_port(), sink.port, overrides))
                )
        for side in sides:
            bench.prove(side, root / "sample.eml")
        for size in given.size:
            bench.measure(sides, size)
        if relay is not None and given.login:
            bench.with_login(relay)
        if relay is not None and given.profile:
            for size in given.size:
                bench.profile(relay, size)
    for size in given.size:
        print()
        print(report.table(f"{size} bytes, full speed", bench.full[size]))
        rate = next(iter(bench.half[size].values()))["rate"]
        print()
        print(report.table(f"{size} bytes, {rate:.0f} messages/s", bench.half[size], is_latency=True))
    print()
    if warning := report.noise(bench.rounds):
        print(warning + "\n")
    summary = report.summary(bench.full, bench.half, facts, bench.rounds)
    print(json.dumps({**policy.words(costs), **summary}))
    return 1 if any(one["lost"] or one.get("untold") for one in bench.rounds) else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
