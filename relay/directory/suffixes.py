"""Where domains are registered: the organisational domain of a name (RFC 7489 3.2).

Contract: ``organisational_domain("a.b.example.co.uk")`` is ``"example.co.uk"``; ``""`` for a public suffix
itself. Names are in A-labels and lower case. The public suffix list is the copy in its package: no network,
and as old as the package. A suffix that the list does not know counts as one label (its own default rule).

Cost: 0.04 s once, when it is first asked. The only user of ``publicsuffixlist``.
"""

from __future__ import annotations

import functools

from publicsuffixlist import PublicSuffixList


def organisational_domain(domain: str) -> str:
    """The domain that someone registered, of which ``domain`` is a part."""
    return _suffixes().privatesuffix(domain) or ""


def is_below(domain: str, above: str) -> bool:
    """Whether it is a subdomain of ``above``, not ``above`` itself."""
    return domain.endswith(f".{above}")


@functools.cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()
