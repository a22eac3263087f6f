"""What a worker counts: plain numbers, read where they are counted, for the scrape and for `relay status`.

The names are the keys of ``relay.admin.metrics``; a test compares the two.
"""

from __future__ import annotations

from typing import Any

from relay.daemon.worker.wiring import Works


def readings(works: Works) -> dict[str, Any]:
    """All numbers of this worker, for the scrape: plain integers, read where they are counted."""
    c, s, p = works.counters, works.outbound.settler, works.outbound.pools
    states = works.outbound.scheduler.lanes.states()
    committers = [shard.committer for shard in works.shards.values()]
    return {
        "accepted": c.accepted,
        "accepted_bytes": c.accepted_bytes,
        "refused": {str(code): count for code, count in c.refused.items()},
        "client_connections": c.connections,
        "client_connections_refused": c.connections_refused,
        "client_sessions": c.sessions,
        "client_tls_sessions": c.tls_sessions,
        "client_tls_failures": c.tls_failures,
        "feedback": dict(works.feedback.counts),
        "auth_successes": c.auth_successes,
        "auth_failures": c.auth_failures,
        "client_timeouts": c.timeouts,
        "client_troubles": c.troubles,
        "scanned_clean": works.policy.scanner.clean,
        "scanned_infected": works.policy.scanner.infected,
        "scans_failed": works.policy.scanner.failed,
        "delivered": s.delivered,
        "deferred": s.deferred,
        "failed": s.failed,
        "expired": s.expired,
        "delivery_seconds": s.delivery_seconds,
        "reasons": {reason.value: count for reason, count in s.reasons.items() if count},
        "connections": p.open,
        "connections_idle": p.idle,
        "connections_opened": p.opened_total,
        "connections_failed": p.failed_total,
        "tls_sessions": works.outbound.tls_tally.good,
        "tls_faults": dict(works.outbound.tls_tally.failed),
        "sts_policies": works.outbound.sts.held,
        "sts_fetched": works.outbound.sts.fetched,
        "sts_failed": works.outbound.sts.failed,
        "window": works.outbound.scheduler.window.held,
        "window_size": works.outbound.scheduler.window.size,
        "fresh_bytes": works.outbound.scheduler.budget.used_bytes,
        "receive_bytes": works.around.budget.used_bytes,
        "loaded": works.outbound.scheduler.loader.loads,
        "sites": sum(states.values()),
        "sites_down": states.get("down", 0),
        "sites_probing": states.get("probing", 0),
        "sites_pausing": states.get("pausing", 0),
        "sites_paced": states.get("paced", 0),
        "suspensions": len(works.live.current.suspensions),
        "operated": dict(works.steering.operated),
        "commits": sum(x.commits for x in committers),
        "changes": sum(x.changes for x in committers),
        "commit_seconds": sum(x.commit_seconds for x in committers),
        "commit_failures": sum(x.failures for x in committers),
        "spool_failing": any(x.is_failing for x in committers),
        "spool_full": any(shard.is_full for shard in works.shards.values()),
        "corrupt": sum(shard.corrupt for shard in works.shards.values()),
        "uncertain_found": sum(shard.uncertain_found for shard in works.shards.values()),
        "limits_refused": dict(works.limits.refused),
        "limits_delayed": works.limits.delayed,
        "limits_held": works.limits.held,
        "limits_asked": works.limits.asked,
        "limits_waited": works.limits.waited,
        "limits_leases": works.limits.leases,
        "suppressed": works.suppression.suppressed,
        "suppression_asked": works.suppression_lists.asked,
        "suppression_entries": works.suppression_lists.entries,
        "suppression_loaded": works.suppression_lists.is_loaded,
        "directory_stale": works.live.is_stale,
        "directory_revision": works.live.current.revision,
    }
