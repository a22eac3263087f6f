"""The figures as a table for people and as one line of JSON for programs. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.figures import ratio

NOISE_CORES = 0.3  # the benchmark itself takes about 0.15: starting the source, and looking at /proc
STALL_MS = 100.0  # a disk that is only busy with our own load stays far below
ROWS = (
    ("accepted_per_s", "accepted, messages/s", 0),
    ("delivered_per_s", "delivered, messages/s", 0),
    ("cpu_s_per_1000", "CPU s per 1,000 messages", 2),
    ("accept_p50_ms", "accept latency p50, ms", 1),
    ("accept_p99_ms", "accept latency p99, ms", 1),
    ("transit_p50_ms", "accepted to delivered p50, ms", 1),
    ("transit_p99_ms", "accepted to delivered p99, ms", 1),
    ("peak_rss_mb", "peak RSS, all processes, MiB", 0),
    ("largest_rss_mb", "peak RSS, largest process, MiB", 0),
    ("pss_mb", "PSS after the load, MiB", 0),
    ("pushback", "4xx replies", 0),
    ("lost", "not delivered", 0),
    ("duplicates", "delivered twice", 0),
    ("told_meanwhile", "share told to the webhook meanwhile", 2),
    ("told_after_s", "the rest told so many s later", 1),
    ("others_cores", "cores busy with other work", 2),
    ("disk_p99_ms", "the disk alone, one write p99, ms", 1),
    ("disk_max_ms", "the disk alone, one write max, ms", 1),
)
_LATENCY = (
    "accepted_per_s",
    "accept_p50_ms",
    "accept_p99_ms",
    "transit_p50_ms",
    "transit_p99_ms",
    "lag_p99_ms",
    "disk_p99_ms",
    "disk_max_ms",
)


def table(title: str, columns: Mapping[str, Mapping[str, float]], *, is_latency: bool = False) -> str:
    """One table: a row a figure, a column a side, and the ratio of the first to the second where both are."""
    names = list(columns)
    heads = [*names, "ratio"] if len(names) == 2 else names
    lines = [title, f"{'':34}" + "".join(f"{head:>18}" for head in heads)]
    rows = [row for row in ROWS if not is_latency or row[0] in _LATENCY]
    if is_latency:
        rows.append(("lag_p99_ms", "waited for a connection p99, ms", 1))
    for key, label, digits in rows:
        values = [columns[name].get(key) for name in names]
        if all(value is None for value in values):
            continue
        cells = ["-" if value is None else f"{value:,.{digits}f}" for value in values]
        if len(names) == 2:
            times = ratio(values[0] or 0.0, values[1] or 0.0)
            cells.append("" if times is None else f"{times:.2f}")
        lines.append(f"{label:34}" + "".join(f"{cell:>18}" for cell in cells))
    return "\n".join(lines)


def noise(rounds: Sequence[Mapping[str, Any]]) -> str:
    """A warning if other work took a good part of the machine during the rounds at full speed, or if the disk
    stalled under the relay, or empty.

    The scheduler shares cores between processes: a server of a hundred processes loses less to other work
    than one of three, so a busy machine makes the relay look worse against Postfix than it is.
    """
    others = [float(one["others_cores"]) for one in rounds if str(one["what"]).startswith("full speed")]
    stalls = [float(one.get("disk_max_ms", 0.0)) for one in rounds if one.get("side") == "relay"]
    said = []
    if others and max(others) > NOISE_CORES:
        said.append(f"Other work kept up to {max(others):.2f} cores busy: repeat this on an idle machine.")
    if stalls and max(stalls) > STALL_MS:
        said.append(
            f"The disk took up to {max(stalls):.0f} ms for one write of 4 KB: the relay had to wait too."
        )
    return "\n".join(said)


def summary(
    full: Mapping[int, Mapping[str, Mapping[str, float]]],
    half: Mapping[int, Mapping[str, Mapping[str, float]]],
    machine: Mapping[str, Any],
    rounds: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """What the last line says. ``full`` and ``half`` are figures by size and side: at full speed, and at half
    of the relay's own greatest throughput. Keys whose side did not run are None."""

    def of(figures: Mapping[int, Mapping[str, Mapping[str, float]]], size: int, key: str) -> float | None:
        return figures.get(size, {}).get("relay", {}).get(key)

    def times(size: int, key: str) -> float | None:
        sides = full.get(size, {})
        if "relay" not in sides or "postfix" not in sides:
            return None
        return ratio(sides["relay"][key], sides["postfix"][key])

    sizes = {4096: "4k", 102400: "100k"}
    words: dict[str, Any] = {}
    for size, name in sizes.items():
        words[f"ratio_{name}"] = times(size, "delivered_per_s")
        words[f"cpu_ratio_{name}"] = times(size, "cpu_s_per_1000")
    words["p99_accept_ms"] = of(half, 4096, "accept_p99_ms")
    words["p99_accept_ms_100k"] = of(half, 102400, "accept_p99_ms")
    words["disk_max_ms"] = of(half, 4096, "disk_max_ms")  # of one write, in the same seconds
    peaks = [sides["relay"]["peak_rss_mb"] for sides in full.values() if "relay" in sides]
    words["peak_rss_mb"] = max(peaks) if peaks else None
    for size, name in sizes.items():
        words[f"delivered_per_s_{name}"] = of(full, size, "delivered_per_s")
        words[f"cpu_s_per_1000_{name}"] = of(full, size, "cpu_s_per_1000")
    cpu_4k, sign_us = of(full, 4096, "cpu_s_per_1000"), machine.get("rsa2048_sign_us")
    words["cpu_per_message_in_signatures"] = ratio((cpu_4k or 0.0) * 1e3, sign_us or 0.0)
    words["is_noisy"] = bool(noise(rounds))
    words["machine"] = dict(machine)
    words["full"] = {str(size): dict(sides) for size, sides in full.items()}
    words["half"] = {str(size): dict(sides) for size, sides in half.items()}
    words["rounds"] = [dict(one) for one in rounds]
    return words
