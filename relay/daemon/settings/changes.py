"""What a new configuration changes in a relay that runs, and what has to wait for a restart.

Decisions, pure. ``LIVE`` is the only list of the settings that take effect at a reload; ``conf/relay.toml``
marks all others with [restart], and a test compares the two. ``in_force`` is the configuration that a running
relay follows: the live settings of the new file, everything else as it was at the start. So a worker that is
started anew after a reload agrees with those that were not.

Of a listener, who may connect and for whom (``trusted_networks``, ``account``, ``proxy_networks``) is live;
its addresses, ``tls``, ``auth`` and ``proxy_protocol`` are not, and neither is the number of listeners.
"""

from __future__ import annotations

from typing import Any

from relay.daemon.settings.config import Config, ListenerSection

LIVE: dict[str, tuple[str, ...]] = {
    "relay": ("postmaster",),
    "limits": (
        "connections",
        "connections_per_address",
        "message_size",
        "recipients",
        "max_hops",
        "command_timeout",
        "data_timeout",
        "receive_memory",
    ),
    "feedback": ("complaints", "message_size", "recipients", "rate", "rate_per_address"),
    "content": (
        "header_rules",
        "mime_parts",
        "mime_depth",
        "refused_extensions",
        "data_uris",
        "scanner",
        "scanner_timeout",
        "scanner_failure",
    ),
    "spool": ("fresh_memory",),
    "events": ("keep_for", "keep_size"),
    "signing": ("service_domain", "service_key", "return_path", "return_path_domain"),
    "delivery": (
        "retry_schedule",
        "retry_jitter",
        "max_age",
        "source",
        "delay_notice",
        "delay_notice_after",
        "window",
        "shaping",
    ),
    "suppression": ("service_for",),
    "reputation": (
        "bounce_warn",
        "bounce_pause",
        "complaint_warn",
        "complaint_pause",
        "minimum_volume",
        "pause",
        "review",
    ),
    "notifications": ("timeout", "give_up_after"),
    "log": ("format", "level"),
}
_LISTS = ("route", "source", "source_pool", "tls_policy")  # tables of which there may be many
LIVE_OF_LISTENER = ("trusted_networks", "account", "proxy_networks")


def in_force(old: Config, new: Config) -> Config:
    """The configuration that a relay started with ``old`` follows once it has read ``new``."""
    changed: dict[str, Any] = {name: getattr(new, name) for name in _LISTS}
    for section, names in LIVE.items():
        now = getattr(new, section)
        update = {name: getattr(now, name) for name in names}
        changed[section] = getattr(old, section).model_copy(update=update)
    if _fixed_parts(old) == _fixed_parts(new):
        changed["listener"] = new.listener
    return old.model_copy(update=changed)


def needs_restart(old: Config, new: Config) -> list[str]:
    """The settings, as ``[section] name``, that differ from those in force and wait for a restart."""
    found = []
    for section in Config.model_fields:
        if section in ("path", "listener", *_LISTS):
            continue
        then, now = getattr(old, section), getattr(new, section)
        found += [
            f"[{section}] {name}"
            for name in type(then).model_fields
            if name not in LIVE.get(section, ()) and getattr(then, name) != getattr(now, name)
        ]
    if _fixed_parts(old) != _fixed_parts(new):
        found.append("[[listener]]")
    return found


def _fixed_parts(config: Config) -> list[tuple[object, ...]]:
    fixed = [name for name in ListenerSection.model_fields if name not in LIVE_OF_LISTENER]
    return [tuple(getattr(one, name) for name in fixed) for one in config.listener]
