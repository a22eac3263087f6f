"""Why no relay answers, and what starts it again. Pure.

What is known comes from three sources, none of which need be there: the note of the last life in the spool's
folder, systemd's view of the service, and whether the configuration can be used now.
"""

from __future__ import annotations

from dataclasses import dataclass

from relay.admin.finding import Finding, Level
from relay.admin.host_facts import LastLife, Unit
from relay.admin.span import ago

EX_TEMPFAIL, EX_CONFIG = 75, 78


@dataclass(frozen=True, slots=True)
class Stopped:
    """What is known where no relay answers."""

    spool: str
    last: LastLife | None = None
    unit: Unit | None = None
    booted_at: float = 0.0
    holder: int = 0  # the process that holds the spool's lock, though it does not answer
    wrong: str = ""  # why the configuration cannot be used now
    is_hidden: bool = False  # this user may not look into the spool's folder


def judge_stopped(stopped: Stopped, now: float) -> list[Finding]:
    """What to do first comes first."""
    unit = stopped.unit
    start = f"systemctl start {unit.name}" if unit is not None else "relay run"
    look = f"; its log: journalctl -u {unit.name} -n 50" if unit is not None else ""
    if stopped.holder:
        who = f"a relay (pid {stopped.holder}) holds {stopped.spool}"
        said = f"{who} and does not answer: it starts, ends or hangs"
        fix = f"wait half a minute and ask again{look}"
        return [Finding(Level.PROBLEM, "relay", said, fix)]
    said = f"no relay runs on {stopped.spool}: {_why(stopped, now)}"
    if stopped.wrong:
        first = stopped.wrong.splitlines()
        found = [
            Finding(Level.PROBLEM, "config", line, "mend it; see `relay config check`") for line in first
        ]
        return [Finding(Level.PROBLEM, "relay", said, f"mend what follows, then `{start}`{look}"), *found]
    return [Finding(Level.PROBLEM, "relay", said, f"start it: `{start}`{look}")]


def _why(stopped: Stopped, now: float) -> str:
    """How the last life ended, as far as anybody knows."""
    last, unit = stopped.last, stopped.unit
    if unit is not None and unit.result == "oom-kill":
        return "the kernel killed it because memory ran out"
    if unit is not None and unit.result == "watchdog":
        return "systemd's watchdog killed it because it did not answer"
    if stopped.is_hidden and last is None:
        return "why, this user may not see; ask as root or the relay's user"
    if last is None:
        if unit is not None and unit.status == EX_CONFIG:
            return "its configuration could not be used (exit status 78)"
        return "it has not run with this configuration, as far as its folder tells"
    if not last.ended_at:
        since = f"it was started {ago(now - last.started_at)}"
        if stopped.booted_at > last.started_at:
            return f"the machine went down under it ({since}, the machine {ago(now - stopped.booted_at)})"
        return f"it was killed, or crashed ({since} and noted no end)"
    when = ago(now - last.ended_at)
    if not last.status:
        return f"it ended {when}: {last.why}"
    kind = {EX_CONFIG: "the configuration could not be used", EX_TEMPFAIL: "something was in the way"}
    why = kind.get(last.status, "it failed")
    return f"it ended {when} with status {last.status}: {why}: {last.why}"
