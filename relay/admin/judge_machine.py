"""Whether the machine is fit for the work: its clock, the speed of its disk, and its bounds. Pure.

What a setting allows and a bound of the kernel does not is a problem of the day on which it is needed, so it
is told before.
"""

from __future__ import annotations

from collections.abc import Iterator

from relay.admin.finding import Finding, Level
from relay.admin.host_facts import ClockSeen, FileSeen, Machine, Speed
from relay.admin.span import amount

_SLOW_S, _VERY_SLOW_S = 0.020, 0.100  # of a write, in the middle
_TAIL_S = 0.500
_TOO_FAST_S = 0.000_01  # no device answers in less
_SPARE_DESCRIPTORS = 200  # databases, links, log files
_WORKER_BYTES = 120_000_000  # of one that holds nothing
_CLOCK_S = 5.0
_SLOW_DNS_S = 1.0


def judge_resolver(server: str, took_s: float, trouble: str) -> Finding:
    """Whether the DNS can be asked; ``trouble`` is what came in place of an answer."""
    fix = (
        f"see the name server {server}: [delivery] resolver, else /etc/resolv.conf; one on this host is best"
    )
    if trouble:
        return Finding(Level.PROBLEM, "resolver", f"{server} does not answer: {trouble}; no mail leaves", fix)
    seen = f"{server} answers in {_ms(took_s)}"
    return Finding(
        Level.WARNING if took_s > _SLOW_DNS_S else Level.OK, "resolver", seen, fix * (took_s > _SLOW_DNS_S)
    )


def judge_clock(clock: ClockSeen) -> Finding:
    """A wrong clock makes signatures and certificates invalid, and limits count wrongly."""
    fix = "keep it by the network: timedatectl set-ntp true, or install chrony"
    if clock.is_synchronised is None:
        return Finding(Level.UNKNOWN, "clock", "the kernel does not say whether its clock is kept", fix)
    if not clock.is_synchronised:
        seen = "nothing keeps the clock in step: DKIM times and certificates will be wrong one day"
        return Finding(Level.WARNING, "clock", seen, fix)
    if clock.error_s > _CLOCK_S:
        seen = f"the clock may be wrong by {clock.error_s:.0f} s"
        return Finding(
            Level.WARNING, "clock", seen, "see `chronyc tracking` or `timedatectl timesync-status`"
        )
    return Finding(Level.OK, "clock", "it is kept by the network")


def judge_speed(speed: Speed) -> Finding:
    """Every 250 waits for one write, which it shares with others."""
    about = "disk speed"
    if speed.fault or not speed.took_s:
        seen = f"{speed.path}: {speed.fault or 'nothing was written'}"
        return Finding(Level.UNKNOWN, about, seen, "ask as root or the relay's user")
    took = speed.took_s
    median, late = took[len(took) // 2], took[min(len(took) - 1, len(took) * 99 // 100)]
    seen = (
        f"a write to {speed.path} is safe after {_ms(median)}, the slowest of {len(took)} after {_ms(late)}"
    )
    if median > _VERY_SLOW_S:
        return Finding(Level.PROBLEM, about, seen, "[spool] path needs a faster disk: an SSD, no network")
    if median > _SLOW_S or late > _TAIL_S:
        return Finding(
            Level.WARNING, about, seen, "what else uses the disk (`iostat -x 1`)? an SSD is better"
        )
    if median < _TOO_FAST_S:
        seen += ": no disk is so fast; something says done too soon"
        fix = "look for a cache that is not safe: tmpfs, cache=unsafe of a virtual disk, eatmydata"
        return Finding(Level.WARNING, about, seen, fix)
    return Finding(Level.OK, about, seen)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.2g} ms" if seconds < 0.0995 else f"{seconds * 1000:.0f} ms"


def judge_bounds(
    machine: Machine, *, clients: int, deliveries: int, backlog: int, workers: int, budgets: int
) -> Iterator[Finding]:
    """Bounds against settings: connections of clients and to receivers that one worker may come to hold, the
    backlog of a socket, and ``budgets``: bytes of content that a worker may hold in memory."""
    need = clients + deliveries + _SPARE_DESCRIPTORS
    whose = "the relay's processes" if machine.is_of_the_relay else "a relay started from here"
    if machine.descriptors < 0:
        yield Finding(Level.UNKNOWN, "files", "the bound on open files is not known")
    elif machine.descriptors < need:
        seen = (
            f"{whose} may open {machine.descriptors:,} files, and [limits] connections and [delivery] "
            f"connections allow {need:,}"
        )
        fix = f"LimitNOFILE={2 * need} in the unit (systemctl edit relay), or lower the settings"
        yield Finding(Level.WARNING, "files", seen, fix)
    elif machine.descriptors_used > 0.8 * machine.descriptors:
        seen = f"{machine.descriptors_used:,} of {machine.descriptors:,} files are open in one process"
        yield Finding(Level.WARNING, "files", seen, "raise LimitNOFILE= in the unit (systemctl edit relay)")
    else:
        yield Finding(Level.OK, "files", f"{whose} may open {machine.descriptors:,} files")
    if machine.backlog and machine.backlog < backlog:
        seen = f"net.core.somaxconn is {machine.backlog}: only so many clients may wait to be accepted"
        fix = f"sysctl -w net.core.somaxconn={backlog}, and in /etc/sysctl.d to keep it"
        yield Finding(Level.NOTE, "backlog", seen, fix)
    wanted = workers * (budgets + _WORKER_BYTES)
    if machine.memory and machine.memory < wanted and not machine.is_of_the_relay:
        seen = f"{amount(machine.memory)} of memory are free, {workers} workers may use {amount(wanted)}"
        fix = "lower [spool] fresh_memory, [limits] receive_memory or [workers] count"
        yield Finding(Level.WARNING, "memory", seen, fix)
    elif machine.memory:
        yield Finding(Level.OK, "memory", f"{amount(machine.memory)} are free")


def judge_file(file: FileSeen, owner: int | None) -> Iterator[Finding]:
    """Who may read it; ``owner`` is the user that the relay runs as, None if that is not known."""
    if file.fault:
        yield Finding(Level.UNKNOWN, "modes", f"{file.what}: {file.path}: {file.fault}", "ask as root")
        return
    if file.mode & 0o007:
        kind = "folder" if file.is_folder else "file"
        seen = f"{file.what}: any user may look into the {kind} {file.path} (mode {file.mode:04o})"
        yield Finding(Level.PROBLEM, "modes", seen, f"chmod o-rwx {file.path}")
    if owner is not None and file.owner not in (owner, 0):
        seen = f"{file.what}: {file.path} belongs to user {file.owner}, the relay runs as user {owner}"
        yield Finding(Level.WARNING, "modes", seen, f"chown {owner} {file.path}")
    if file.is_folder and owner is not None and file.owner == 0 != owner:
        seen = f"{file.what}: {file.path} belongs to root, the relay runs as user {owner}"
        yield Finding(Level.PROBLEM, "modes", seen, f"chown -R {owner} {file.path}")
