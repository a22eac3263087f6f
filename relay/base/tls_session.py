"""How sessions to receivers fared with TLS: the words in which it is noted, and reported to them (RFC 8460).

Each attempt to open a session for a policy domain is one ``TlsSession``: a success, or a failure of one
kind. The *policy domain* is the domain of the recipients, not that of their MX. What applied to it is a
``TlsPolicy``: the TLSA records of its MX hosts, its MTA-STS policy, or neither. The values of the
enumerations are those of the report's fields (4.3, 4.4).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class TlsPolicyType(StrEnum):
    """What said how the session was to be secured."""

    TLSA = "tlsa"
    STS = "sts"
    NONE = "no-policy-found"


class TlsFailure(StrEnum):
    """Why a session was not as the policy wants it, or had no TLS where none was wanted."""

    STARTTLS_NOT_SUPPORTED = "starttls-not-supported"
    CERTIFICATE_HOST_MISMATCH = "certificate-host-mismatch"
    CERTIFICATE_EXPIRED = "certificate-expired"
    CERTIFICATE_NOT_TRUSTED = "certificate-not-trusted"
    VALIDATION_FAILURE = "validation-failure"  # any other, an MX that the policy does not name among them
    TLSA_INVALID = "tlsa-invalid"
    DNSSEC_INVALID = "dnssec-invalid"
    DANE_REQUIRED = "dane-required"
    STS_POLICY_FETCH_ERROR = "sts-policy-fetch-error"
    STS_POLICY_INVALID = "sts-policy-invalid"
    STS_WEBPKI_INVALID = "sts-webpki-invalid"


@dataclass(frozen=True, slots=True)
class TlsPolicy:
    """What applied to a policy domain (lower case, A-labels). ``lines`` are its text: of an MTA-STS policy
    the lines of the file, of DANE the TLSA records, in zone file form; ``mx`` are the patterns of MTA-STS."""

    domain: str
    type: TlsPolicyType = TlsPolicyType.NONE
    lines: tuple[str, ...] = ()
    mx: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TlsSession:
    """One session, or the attempt to have one; ``failure`` is None for a success. ``host`` is the MX, the
    addresses are those of the connection ("" where there was none), ``detail`` is for people."""

    policy: TlsPolicy
    failure: TlsFailure | None = None
    host: str = ""
    address: str = ""
    source_address: str = ""
    detail: str = ""


class TlsSessionLog(Protocol):
    """Who keeps count."""

    def note(self, session: TlsSession) -> None:
        """One more; must be short and raise nothing."""
        ...
