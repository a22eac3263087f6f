"""The tables and the judgement: what grew, what was kept, what was done. Pure, but for printing.

A life is judged once it has lasted long enough for a line to mean something (``_JUDGED_S``): memory must not
grow by more than ``RSS_MB_H`` an hour, descriptors by ``DESCRIPTORS_H``, threads by ``THREADS_H``, each by
the lower end of its line (see ``slope``), so that noise alone judges nobody: the longer a life, the less of
it. Caches and the arenas of malloc fill for some minutes under messages of such sizes, so memory is judged by
its line after a quarter of an hour; in any life it must stay below ``RSS_MB_MOST``: what a worker holds of
messages at most by its settings (64 MB while they come, 64 MB until they leave), and all that it is besides.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bench.soak.slope import Line, line, settled
from bench.soak.watch import Life

SHOWN_S = 30.0
RSS_MB_H, DESCRIPTORS_H, THREADS_H = 10.0, 10.0, 2.0
RSS_MB_MOST = 400.0
_BOUNDS = {"rss_mb": RSS_MB_H, "descriptors": DESCRIPTORS_H, "threads": THREADS_H}
_JUDGED_S = {"rss_mb": 900.0, "descriptors": 300.0, "threads": 300.0}
_HEAD = (
    f"{'process':<11}{'pid':>8}{'life s':>8}{'RSS MB':>8}{'end':>7}{'most':>7}{'MB/h':>8}{'+-':>7}"
    f"{'fds':>5}{'end':>5}{'most':>5}{'fds/h':>8}{'threads':>9}  judgement"
)


def judge(life: Life) -> dict[str, Any]:
    """A line of the table; ``grows`` names what grows too fast, ``judged`` what could be said."""
    first, last = life.samples[0], life.samples[-1]
    lines = {name: line(settled(life.series(name))) for name in _BOUNDS}
    judged = [name for name in _BOUNDS if life.lasted_s >= _JUDGED_S[name]]
    grows = [name for name in judged if _is_above(lines[name], _BOUNDS[name])]
    if _most(life, "rss_mb") > RSS_MB_MOST:
        grows.append(f"above {RSS_MB_MOST:.0f} MB")
    return {
        "process": life.role,
        "pid": life.pid,
        "life_s": round(life.lasted_s),
        "rss_mb": [round(first.rss_mb, 1), round(last.rss_mb, 1), round(_most(life, "rss_mb"), 1)],
        "rss_mb_per_hour": _shown(lines["rss_mb"]),
        "descriptors": [first.descriptors, last.descriptors, int(_most(life, "descriptors"))],
        "descriptors_per_hour": _shown(lines["descriptors"]),
        "threads": [first.threads, last.threads, int(_most(life, "threads"))],
        "threads_per_hour": _shown(lines["threads"]),
        "judged": judged,
        "grows": grows,
    }


def judge_all(lives: Iterable[Life]) -> list[dict[str, Any]]:
    """Of those that lasted long enough to be shown, by process and begin."""
    shown = [life for life in lives if life.lasted_s >= SHOWN_S]
    return [judge(life) for life in sorted(shown, key=lambda one: (one.role, one.samples[0].at_s))]


def _is_above(found: Line | None, bound: float) -> bool:
    return found is not None and found.lower > bound


def _most(life: Life, of: str) -> float:
    return max(value for _, value in life.series(of))


def _shown(found: Line | None) -> list[float] | None:
    return None if found is None else [round(found.per_hour, 2), round(2 * found.error, 2)]


def table(rows: Iterable[dict[str, Any]]) -> str:
    """For people."""
    lines = [_HEAD]
    for row in rows:
        rss, descriptors, threads = row["rss_mb"], row["descriptors"], row["threads"]
        slope, error = row["rss_mb_per_hour"] or ("", "")
        more = (row["descriptors_per_hour"] or ("",))[0]
        said = "flat" if "rss_mb" in row["judged"] else "fds, threads flat" if row["judged"] else "too short"
        said = ", ".join(row["grows"]) or said
        lines.append(
            f"{row['process']:<11}{row['pid']:>8}{row['life_s']:>8}{rss[0]:>8}{rss[1]:>7}{rss[2]:>7}"
            f"{slope:>8}{error:>7}{descriptors[0]:>5}{descriptors[1]:>5}{descriptors[2]:>5}{more:>8}"
            f"{threads[0]:>4}{threads[1]:>5}  {said}"
        )
    return "\n".join(lines)


def missed(found: dict[str, Any]) -> list[str]:
    """What was not as it must be; nothing, if all is good."""
    wrong = {
        "the end": bool(found["undone"]),
        "promises": not found["promises_kept"],
        "notifications": not found["hearing_good"],
        "damaged messages at a receiver": bool(found["faults"]),
        "tracebacks in the log": bool(found["tracebacks"]),
        "clients that waited in vain": bool(found["silences"]),
        "commands": bool(found["commands_wrong"]),
        "answers to abuse": bool(found["abuse_wrong"]),
        "files left over": bool(found["left_over"]),
        "growth": any(row["grows"] for row in found["lives"]),
    }
    return [what for what, is_wrong in wrong.items() if is_wrong]
