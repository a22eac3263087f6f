"""``python -m bench.policy``: what policy costs per message, in microseconds, each rule alone and all of it.

The real policy of a worker in this process: a directory with one account, a snapshot of it, and leases of an
account that has both limits from a ledger beside it. A figure is processor time, the median over short
batches, in which no two messages have the same boundary: what is remembered of headers of parts helps as it
does in life. The scanner is off. What the relay does in any case is not policy: parsing the header, looking
for bare line ends.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.content import DOMAIN, RECEIVER, SENDER, make_template
from bench.figures import median
from relay.base.clock import SystemClock
from relay.base.message import Client, Envelope, Recipient, Submission
from relay.base.tasks import Tasks
from relay.codec.headers import Header
from relay.directory import keys, secrets
from relay.directory.records import OverQuota
from relay.directory.refresh import LiveSnapshot
from relay.directory.store import Directory
from relay.policy import header_rules
from relay.policy.control import control_of
from relay.policy.identities import check_submission
from relay.policy.ledger import Ledger, Limits, Need
from relay.policy.limits import LeasedLimits
from relay.policy.sending import Policy

_BOUNDARY = b"=_part"
_VARIANTS = 300  # above the number of headers that are remembered
_BATCH = 100
_RATE, _QUOTA = 1_000_000.0, 100_000_000
_REGION = "us-east-1"
_CONTROL = b"X-SES-CONFIGURATION-SET: orders\r\nX-SES-MESSAGE-TAGS: campaign=spring, kind=receipt\r\n"

Parsed = tuple[Submission, Header]


@dataclass(slots=True)
class Bench:
    """A policy, and what it needs."""

    policy: Policy
    live: LiveSnapshot
    limits: LeasedLimits
    account_id: int


def contents() -> dict[str, bytes]:
    """A message of each kind; ``=_part`` is its boundary, if it has one."""
    text = _content(4096)
    body = text.partition(b"\r\n\r\n")[2]
    half = body[: len(body) // 2].rpartition(b"\r\n")[0]
    html = b"<p>" + half.replace(b"\r\n", b"</p>\r\n<p>")[: len(half) - 4] + b"</p>\r\n"
    head = text.partition(b"\r\n\r\n")[0].replace(
        b"text/plain; charset=utf-8", b'multipart/alternative; boundary="=_part"'
    )
    both = b"\r\n".join(
        (
            head,
            b"\r\n--=_part\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + half,
            b"--=_part\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + html,
            b"--=_part--\r\n",
        )
    )
    return {
        "4 KB text": text,
        "4 KB text, control fields": _CONTROL + text,
        "4 KB text and HTML": both,
        "100 KB with an attachment": _content(102400),
    }


def _content(size: int) -> bytes:
    return make_template(size).fill(1, 1, 1).removesuffix(b".\r\n")


def variants(content: bytes, account_id: int) -> list[Parsed]:
    """The message with many different boundaries, as it comes to policy."""
    count = _VARIANTS if _BOUNDARY in content else 1
    found = []
    for number in range(count):
        one = content.replace(_BOUNDARY, b"=_%06d" % number)
        envelope = Envelope(SENDER, [Recipient(0, f"customer@{RECEIVER}", RECEIVER)])
        client = Client("192.0.2.1", 1, "c", "ESMTPSA", "", "")
        found.append((Submission(account_id, envelope, one, client), Header.parse(one)))
    return found


async def open_bench(stack: AsyncExitStack) -> Bench:
    """A policy over a directory of its own, with an account that has limits; it ends with the stack."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    secrets.create_key_file(folder / "relay.key")
    directory = Directory(f"sqlite:///{folder}/directory.db", folder / "relay.key", _REGION)
    stack.callback(directory.close)
    directory.migrate()
    account = directory.accounts.create("bench", max_send_rate=_RATE, max_24_hours=_QUOTA)
    directory.identities.add("bench", DOMAIN, algorithms=(keys.ED25519,), is_verified=True)
    live = LiveSnapshot(directory)
    await live.start(stack)
    ledger = Ledger()

    async def ask(what: str, timeout_s: float, **fields: Any) -> Any:
        """The ledger without the way to it; a bench that pauses lets its lease end."""
        if what != "lease":
            ledger.end_lease(1, fields["account"], fields["tokens"], fields["minutes"], clock.now())
            return None
        rate, quota, over = fields["limits"]
        needs = [Need(*one) for one in fields["needs"]]
        if needs:
            tokens, minutes = fields["back"]
            ledger.end_lease(1, fields["account"], tokens, minutes, clock.now())
        verdicts, lent = ledger.ask(
            1,
            fields["account"],
            Limits(rate, quota, OverQuota(over)),
            needs,
            clock.now(),
            in_hand=fields["in_hand"],
            longest_s=fields["longest_s"],
        )
        return {"verdicts": verdicts, "slice": lent}

    clock, tasks = SystemClock(), Tasks("bench")
    await tasks.start(stack)
    limits = LeasedLimits(ask, clock, tasks, lambda: 3600.0)
    return Bench(Policy(live, region=_REGION, limits=limits), live, limits, account.id)


async def whole(bench: Bench, messages: list[Parsed], seconds: float) -> float:
    """Microseconds of everything that policy does before a message is signed."""
    took = []
    policy, at = bench.policy, 0
    for submission, header in messages:  # each once, for what a first time costs
        policy.check(submission, header)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        before = time.thread_time()
        for _ in range(_BATCH):
            submission, header = messages[at]
            at = (at + 1) % len(messages)
            waiting = policy.complete(submission, header, policy.check(submission, header))
            if waiting is not None:
                await waiting
        took.append((time.thread_time() - before) / _BATCH * 1e6)
        await asyncio.sleep(0)  # the lease is asked for on the loop, as in a worker
    return median(took)


def alone(rule: Callable[[Submission, Header], object], messages: list[Parsed], seconds: float) -> float:
    """Microseconds of one rule."""
    took, at = [], 0
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        before = time.thread_time()
        for _ in range(_BATCH):
            submission, header = messages[at]
            at = (at + 1) % len(messages)
            rule(submission, header)
        took.append((time.thread_time() - before) / _BATCH * 1e6)
    return median(took)


def rules(bench: Bench) -> dict[str, Callable[[Submission, Header], object]]:
    """Each rule by its name. ``content`` is without the header rules."""
    snapshot, without_header = bench.live.current, replace(bench.policy.rules, has_header_rules=False)
    return {
        "identities": lambda one, header: check_submission(snapshot, one, header),
        "header": lambda one, header: header_rules.check(header, one.content[: header.body_offset]),
        "content": lambda one, header: without_header.check(one.content, header),
        "control": lambda one, header: control_of(header, snapshot, one.account_id, _REGION, ""),
    }


async def measure(seconds: float) -> dict[str, dict[str, float]]:
    """Microseconds by kind of message and rule; ``seconds`` is what all of it may take, about."""
    found: dict[str, dict[str, float]] = {}
    async with AsyncExitStack() as stack:
        bench = await open_bench(stack)
        kinds, each = contents(), rules(bench)
        share = seconds / len(kinds) / (len(each) + 1)
        for kind, content in kinds.items():
            messages = variants(content, bench.account_id)
            found[kind] = {name: alone(rule, messages, share) for name, rule in each.items()}
            found[kind]["all"] = await whole(bench, messages, share)
    return found


def table(figures: Mapping[str, Mapping[str, float]]) -> str:
    """A row a kind of message, a column a rule. ``all`` is measured by itself: it has the lease too."""
    names = list(next(iter(figures.values())))
    lines = [f"{'policy, us per message':28}" + "".join(f"{name:>12}" for name in names)]
    lines += [f"{kind:28}" + "".join(f"{row[name]:12.1f}" for name in names) for kind, row in figures.items()]
    return "\n".join(lines)


def words(figures: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """What the last line of the whole benchmark says of it."""
    return {
        "policy_us_4k": round(figures["4 KB text"]["all"], 1),
        "policy_us_4k_multipart": round(figures["4 KB text and HTML"]["all"], 1),
        "policy_us_100k": round(figures["100 KB with an attachment"]["all"], 1),
    }


def main() -> int:
    """Measure and print; the last line is JSON."""
    options = argparse.ArgumentParser(prog="bench.policy", description="What policy costs per message.")
    options.add_argument("--seconds", type=float, default=4.0, help="how long to measure, about")
    figures = asyncio.run(measure(options.parse_args().seconds))
    print(table(figures))
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
