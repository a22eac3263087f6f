"""What is wrong with a relay that runs, from what it says of itself. Pure.

The answer is that of the control socket's ``status``; what is missing in it (an older relay, a worker that is
silent) is passed over. Deliberate things, such as paused accounts, are notes: they make nobody unwell.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from relay.admin.finding import Finding, Level
from relay.admin.span import ago, span

_YOUNG_S = 60.0  # what is not there yet may be coming
_RESTARTS = 3
_BEHIND = 10_000
_LATE_S = 86400.0
_OWN = "relay/"  # consumers of the relay's own
_NEAR = 0.9
_NEAR_QUOTA = 0.8
_BAD_STANDING = {2: "is under review", 3: "is about to be paused", 4: "is paused"}

Answer = Mapping[str, Any]


def judge_running(
    answer: Answer, now: float, *, spool: str, installed: str, connections: int = 0, service: str = ""
) -> Iterator[Finding]:
    """All that is to be said; ``connections`` is [limits] connections, ``service`` its name in systemd."""
    log = f"journalctl -u {service} -n 100" if service else "see the relay's log"
    readings: Mapping[str, Answer] = answer.get("readings", {})
    age_s = now - float(answer.get("started_at", 0.0))
    if answer.get("draining"):
        yield Finding(Level.PROBLEM, "relay", "it drains: it was told to end", "wait, then start it again")
    yield from _workers(answer, readings, log)
    yield from _spool(readings, spool, log)
    yield from _reload(answer, now)
    yield from _directory(readings, age_s, log)
    yield from _notifier(answer, age_s, log)
    if (runs := str(answer.get("version", installed))) != installed:
        said = f"version {runs} runs, {installed} is installed"
        yield Finding(Level.WARNING, "version", said, f"systemctl restart {service or 'relay'}")
    yield from _quotas(answer)
    yield from _clients(readings, connections)
    yield from _sites(answer, readings)
    yield from _stopped(answer)


def _workers(answer: Answer, readings: Mapping[str, Answer], log: str) -> Iterator[Finding]:
    ready = answer.get("ready", {})
    missing = [str(number) for number, is_ready in ready.items() if not is_ready]
    if missing:
        said = f"worker {', '.join(missing)} of {len(ready)} is not ready"
        yield Finding(Level.PROBLEM, "workers", said, f"{log}: it says why; it is started again by itself")
    silent = [str(n) for n, is_ready in ready.items() if is_ready and n not in readings]
    if silent:
        said = f"worker {', '.join(silent)} does not answer"
        yield Finding(Level.WARNING, "workers", said, "ask again; one that hangs is killed by itself")
    restarts = {number: count for number, count in answer.get("restarts", {}).items() if count}
    if restarts:
        total = sum(restarts.values())
        said = f"workers had to be started anew {total} times since the start"
        level = Level.WARNING if total >= _RESTARTS else Level.NOTE
        yield Finding(level, "workers", said, f'{log}: look for "worker died"')


def _spool(readings: Mapping[str, Answer], spool: str, log: str) -> Iterator[Finding]:
    if any(one.get("spool_failing") for one in readings.values()):
        fix = f"see `dmesg` and `df {spool}`; {log}"
        said = f"the disk of {spool} refuses to be written; new mail is answered 451"
        yield Finding(Level.PROBLEM, "spool", said, fix)
    if any(one.get("spool_full") for one in readings.values()):
        fix = f"free space on {spool} (`df {spool}`), or lower [spool] disk_reserve and restart"
        said = f"the disk reserve of {spool} is reached; new mail is answered 452"
        yield Finding(Level.PROBLEM, "spool", said, fix)
    corrupt = sum(int(one.get("corrupt", 0)) for one in readings.values())
    if corrupt:
        said = f"{corrupt} damaged messages or databases were set aside since the start"
        fix = f"look into the folders corrupt/ in {spool}, and check the disk (smartctl -a)"
        yield Finding(Level.WARNING, "spool", said, fix)
    uncertain = sum(int(one.get("uncertain_found", 0)) for one in readings.values())
    if uncertain:
        said = f"of {uncertain} recipients a crash left unknown whether they got their message"
        yield Finding(Level.NOTE, "spool", said, "relay queue uncertain")


def _reload(answer: Answer, now: float) -> Iterator[Finding]:
    last = answer.get("last_reload")
    if last and not last["ok"]:
        first = str(last["why"]).partition("\n")[0]
        when = ago(now - float(last["at"]))
        said = f"the reload {when} was refused, the old configuration is in force: {first}"
        yield Finding(Level.PROBLEM, "config", said, "mend it, `relay config check`, then `relay reload`")


def _directory(readings: Mapping[str, Answer], age_s: float, log: str) -> Iterator[Finding]:
    if any(one.get("directory_stale") for one in readings.values()):
        said = "the directory cannot be read; its last state is in force"
        fix = f"see that the database of [directory] url is up and may be read; {log}"
        yield Finding(Level.PROBLEM, "directory", said, fix)
    if age_s > _YOUNG_S and any(not one.get("suppression_loaded", True) for one in readings.values()):
        said = "the suppression lists are not in memory: the directory is asked about each recipient"
        yield Finding(Level.WARNING, "directory", said, log)


def _notifier(answer: Answer, age_s: float, log: str) -> Iterator[Finding]:
    own = answer.get("notifier", {})
    if not own.get("ready", True) and age_s > _YOUNG_S:
        said = "the notifier does not run: mail flows, but nobody hears of bounces and events"
        yield Finding(Level.PROBLEM, "notifier", said, f"{log}; it is started again by itself")
    for sink, count in own.get("behind", {}).items():
        if count > _BEHIND:
            said = f"{sink} is {count:,} events behind"
            yield Finding(
                Level.WARNING, "events", said, "see `relay events consumers` and `relay topic list`"
            )
    for consumer, seconds in own.get("consumer_behind_seconds", {}).items():
        if seconds > _LATE_S and not consumer.startswith(_OWN):
            count = own.get("consumer_behind", {}).get(consumer, 0)
            said = f"consumer {consumer} has not read {count:,} events, the oldest for {span(seconds)}"
            fix = f"start what reads them; `relay events forget {consumer}` if nothing does any more"
            yield Finding(Level.NOTE, "events", said, fix)
    if own.get("topics_dropped"):
        said = f"{own['topics_dropped']} topics took nothing for too long and are told nothing more"
        fix = "relay topic list; then `relay topic test NAME` and `relay topic activate NAME`"
        yield Finding(Level.WARNING, "topics", said, fix)
    for account, standing in own.get("statuses", {}).items():
        if (words := _BAD_STANDING.get(int(standing))) is not None:
            said = f"account {account} {words}: its bounces or complaints are too many"
            yield Finding(Level.WARNING, "reputation", said, f"relay stats --account {account}")


def _quotas(answer: Answer) -> Iterator[Finding]:
    limits = answer.get("limits", {})
    for account, quota in limits.get("account_quota", {}).items():
        sent = limits.get("account_sent", {}).get(account, 0)
        if sent < _NEAR_QUOTA * quota or not quota:
            continue
        is_up = sent >= quota
        how = "used up" if is_up else "nearly used up"
        said = f"account {account} has {how} its quota: {sent:,.0f} of {quota:,.0f}"
        fix = f"relay account quota {account}; relay account set {account} --quota N"
        yield Finding(Level.WARNING if is_up else Level.NOTE, "quota", said, fix)


def _clients(readings: Mapping[str, Answer], connections: int) -> Iterator[Finding]:
    sessions = sum(int(one.get("client_sessions", 0)) for one in readings.values())
    if connections and sessions >= _NEAR * connections:
        said = f"{sessions} of {connections} client connections are taken; more are answered 421"
        fix = "raise [limits] connections and `relay reload`, or see who holds them (ss -tnp)"
        yield Finding(Level.WARNING, "clients", said, fix)


def _sites(answer: Answer, readings: Mapping[str, Answer]) -> Iterator[Finding]:
    known = sum(int(one.get("sites", 0)) for one in readings.values())
    down = sum(int(one.get("sites_down", 0)) + int(one.get("sites_probing", 0)) for one in readings.values())
    if not down:
        return
    shut = [one for one in answer.get("sites", ()) if one.get("state") in ("down", "probing")]
    first = f": {shut[0]['site']}: {shut[0]['why']}" if shut else ""
    again = f", again in {span(shut[0]['retry_in_s'])}" if shut and shut[0].get("retry_in_s") else ""
    are_most = 2 * down >= known
    count = "all" if down >= known else "most" if are_most else f"{down} of {known}"
    said = f"{count} sites are down{first}{again}"
    fix = "relay queue sites" + ("; is port 25 open? relay doctor --outbound HOST" if are_most else "")
    yield Finding(Level.WARNING if are_most else Level.NOTE, "sites", said, fix)


def _stopped(answer: Answer) -> Iterator[Finding]:
    stopped = answer.get("stopped", {})
    for name, reason in stopped.get("paused", ())[:3]:
        said = f"account {name} is paused{': ' + reason if reason else ''}"
        yield Finding(Level.NOTE, "account", said, f"relay account resume {name}")
    if (more := stopped.get("paused_count", 0) - 3) > 0:
        yield Finding(Level.NOTE, "account", f"{more} more accounts are paused", "relay account list")
    for kind, name, reason, _ in stopped.get("suspended", ())[:3]:
        said = f"deliveries {'of' if kind == 'account' else 'to'} {kind} {name} are suspended"
        why = f": {reason}" if reason else ""
        yield Finding(Level.NOTE, "suspended", said + why, f"relay queue resume --{kind} {name}")
    if (more := stopped.get("suspended_count", 0) - 3) > 0:
        yield Finding(Level.NOTE, "suspended", f"{more} more suspensions", "relay queue suspended")
