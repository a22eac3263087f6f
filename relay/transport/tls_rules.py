"""The administrator's word on TLS by recipient domain (``[[tls_policy]]``).

Contract, pure. Patterns as in ``rules``: a domain, ``*.example.org`` or ``*``; the most specific wins. A rule
holds for mail that goes by MX; a ``[[route]]`` says its own. ``demand_of`` gives the mode and what may raise
it, for a domain whose MX records DNSSEC vouches for or not.

Cost: a few dict lookups per domain, once; ``route`` caches the result.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from relay.base.errors import ConfigError
from relay.base.route import TlsMode
from relay.base.tls import USUAL_DEMAND, TlsDemand

_WITHOUT_CHOICE = (TlsMode.NONE, TlsMode.REQUIRED, TlsMode.DANE_ONLY)


@dataclass(frozen=True, slots=True)
class TlsRule:
    """What is asked for mail to ``domain`` (a pattern); ``has_dane`` and ``has_sts``: what the receiver
    publishes may raise it."""

    domain: str
    mode: TlsMode = TlsMode.OPPORTUNISTIC
    has_dane: bool = True
    has_sts: bool = True


class TlsRules:
    """Rules in a form that is fast to look up."""

    __slots__ = ("_by_pattern", "_default")

    def __init__(self, rules: Iterable[TlsRule] = ()) -> None:
        """Raises ConfigError."""
        self._by_pattern: dict[str, TlsRule] = {}
        for rule in rules:
            pattern = rule.domain.strip().lower()
            bare = pattern.removeprefix("*.")
            if pattern != "*" and (not bare.isascii() or "*" in bare or not bare or " " in bare):
                raise ConfigError(
                    f'[[tls_policy]] domain "{rule.domain}": give a domain in ASCII, "*.example.org" for its '
                    'subdomains, or "*" for all'
                )
            if self._by_pattern.setdefault(pattern, rule) is not rule:
                raise ConfigError(f'[[tls_policy]] domain "{pattern}" stands twice; remove one')
        self._default = self._by_pattern.get("*")

    def find(self, domain: str) -> TlsRule | None:
        """The rule for a domain (lower case, A-labels), if there is one."""
        if not self._by_pattern:
            return None
        found = self._by_pattern.get(domain)
        _, _, rest = domain.partition(".")
        while found is None and rest:
            found = self._by_pattern.get(f"*.{rest}")
            _, _, rest = rest.partition(".")
        return found or self._default


def demand_of(rule: TlsRule | None, is_mx_secure: bool) -> tuple[TlsMode, TlsDemand]:
    """The mode, and what may raise it; MTA-STS is added by who knows the policy."""
    if rule is None:
        return TlsMode.OPPORTUNISTIC, TlsDemand(is_mx_secure=True) if is_mx_secure else USUAL_DEMAND
    has_dane = rule.has_dane or rule.mode in _WITHOUT_CHOICE
    return rule.mode, TlsDemand(has_dane, is_explicit=True, is_mx_secure=is_mx_secure)


def asks_sts(rule: TlsRule | None) -> bool:
    """Whether an MTA-STS policy of the domain matters."""
    if rule is None:
        return True
    return rule.has_sts and rule.mode in (TlsMode.OPPORTUNISTIC, TlsMode.ENCRYPT)
