"""Whether TLSA records vouch for the chain that a mail server has shown (RFC 7671, RFC 7672 3).

Contract, pure: ``judge_chain`` gives None if one record does, else what is wrong, in words for the report and
for people. DANE-EE(3): the server's own certificate, or its key, is the one of the record; names, expiry and
issuers do not count (RFC 7672 3.1.1). DANE-TA(2): an authority in the chain (or, complete, in the record) is
the one of the record, the chain leads to it, nothing in it has expired, and the certificate is for the name
that the records were found by, among its alternative names: a common name alone counts no more. Digests of
several strengths all count: RFC 7671's rule of the strongest only ("digest agility") would matter if SHA-256
were broken.

Chains are verified by ``cryptography``. Beyond its defaults for browsers it takes certificates that lack the
extensions which only public authorities must write, for those are not whom DANE is for.

Not here: next-hop domains as names. RFC 7672 3.2.2 takes a certificate for the recipients' domain too, but
connections are shared by all domains of a site, and one verified for another's name would not do.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from relay.base.tls_session import TlsFailure
from relay.codec.tlsa import DANE_EE, DANE_TA, Tlsa

_AUTHORITIES = ExtensionPolicy.permit_all().require_present(x509.BasicConstraints, Criticality.AGNOSTIC, None)
_SERVERS = ExtensionPolicy.permit_all().require_present(
    x509.SubjectAlternativeName, Criticality.AGNOSTIC, None
)
_MAX_CHAIN = 16


@dataclass(frozen=True, slots=True)
class ChainFault:
    """Why no record vouches for a chain."""

    failure: TlsFailure
    detail: str


def judge_chain(chain: Sequence[bytes], records: Sequence[Tlsa], name: str, now: float) -> ChainFault | None:
    """None if a record vouches for the chain (DER, the server's own first) of the host ``name``."""
    if not chain:
        return ChainFault(TlsFailure.VALIDATION_FAILURE, "the server has shown no certificate")
    try:
        if any(one.usage == DANE_EE and one.matches(chain[0]) for one in records):
            return None
        anchors = _anchors(chain[:_MAX_CHAIN], [one for one in records if one.usage == DANE_TA])
        if not anchors:
            detail = f"no TLSA record of {name} matches the certificate"
            return ChainFault(TlsFailure.CERTIFICATE_NOT_TRUSTED, detail)
        certificates = [x509.load_der_x509_certificate(one) for one in chain[:_MAX_CHAIN]]
        return _led_to(certificates, anchors, name, datetime.datetime.fromtimestamp(now, datetime.UTC))
    except ValueError as fault:
        return ChainFault(TlsFailure.VALIDATION_FAILURE, f"the certificate cannot be read: {fault}")


def _anchors(chain: Sequence[bytes], records: Sequence[Tlsa]) -> list[x509.Certificate]:
    """The authorities that records name: of the chain, or whole in a record (2 0 0)."""
    found = {one for one in chain[1:] for record in records if record.matches(one)}
    found |= {record.association for record in records if (record.selector, record.matching) == (0, 0)}
    anchors = []
    for one in sorted(found):
        try:
            anchors.append(x509.load_der_x509_certificate(one))
        except ValueError:
            continue  # a record that holds no certificate vouches for none
    return anchors


def _led_to(
    chain: Sequence[x509.Certificate],
    anchors: list[x509.Certificate],
    name: str,
    now: datetime.datetime,
) -> ChainFault | None:
    first = chain[0]
    if not first.not_valid_before_utc <= now <= first.not_valid_after_utc:
        detail = f"the certificate is valid from {first.not_valid_before_utc} to {first.not_valid_after_utc}"
        return ChainFault(TlsFailure.CERTIFICATE_EXPIRED, detail)
    policy = PolicyBuilder().store(Store(anchors)).time(now)
    policy = policy.extension_policies(ca_policy=_AUTHORITIES, ee_policy=_SERVERS)
    try:
        policy.build_server_verifier(x509.DNSName(name)).verify(first, list(chain[1:]))
    except VerificationError as fault:
        names = _names(first)
        if not any(_covers(one, name) for one in names):
            detail = f"the certificate is for {', '.join(names) or 'no name'}, not for {name}"
            return ChainFault(TlsFailure.CERTIFICATE_HOST_MISMATCH, detail)
        detail = f"the certificate does not lead to the authority of the TLSA record: {fault}"
        return ChainFault(TlsFailure.CERTIFICATE_NOT_TRUSTED, detail)
    return None


def _names(certificate: x509.Certificate) -> list[str]:
    """For people, and to tell faults apart; nothing is trusted because of it."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return extension.value.get_values_for_type(x509.DNSName)


def _covers(pattern: str, name: str) -> bool:
    if pattern.startswith("*."):
        return name.lower().partition(".")[2] == pattern[2:].lower()
    return pattern.lower() == name.lower()
