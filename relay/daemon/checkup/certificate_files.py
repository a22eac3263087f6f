"""What is in the certificate files that the configuration names: names, times, chain, and the key's fit.

Contract: never raises for what a file holds; what is wrong is in the ``fault``. The chain is followed from
the first certificate as far as the file goes: each must be signed by the next. A chain that ends below a root
is complete where the system's authorities know its last issuer; where these cannot be read, nothing is said.
Blocking.
"""

from __future__ import annotations

import ssl
import warnings
from itertools import pairwise
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from relay.admin.host_facts import CertificateSeen
from relay.base.errors import ConfigError
from relay.daemon.checkup import machine
from relay.daemon.settings.config import Config
from relay.ingress.tls import Certificate

SETTING = "[tls] certificate"


def certificates(config: Config) -> list[CertificateSeen]:
    """The certificate that clients are shown, if there is one."""
    chain, key = config.tls.certificate, config.tls.private_key
    return [look(SETTING, chain, key)] if chain is not None and key is not None else []


def look(setting: str, file: Path, key: Path) -> CertificateSeen:
    """One pair of files."""
    try:
        found, changed_at = x509.load_pem_x509_certificates(file.read_bytes()), file.stat().st_mtime
    except OSError as error:
        return CertificateSeen(setting, str(file), fault=f"{setting}: {file}: {error.strerror}")
    except ValueError as error:
        return CertificateSeen(setting, str(file), fault=f"{setting}: {file} holds no certificate: {error}")
    is_key_seen = machine.may_see(key)
    try:
        if is_key_seen:
            Certificate(file, key)
    except ConfigError as error:
        return CertificateSeen(setting, str(file), fault=str(error))
    own = found[0]
    return CertificateSeen(
        setting,
        str(file),
        names_of(own),
        own.not_valid_before_utc.timestamp(),
        own.not_valid_after_utc.timestamp(),
        is_self_signed=own.issuer == own.subject,
        gap=_gap(found),
        is_key_seen=is_key_seen,
        changed_at=changed_at,
    )


def names_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """Domains and addresses of the subjectAltName."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (x509.ExtensionNotFound, ValueError):
        return ()
    domains = extension.value.get_values_for_type(x509.DNSName)
    return (*domains, *map(str, extension.value.get_values_for_type(x509.IPAddress)))


def _gap(chain: list[x509.Certificate]) -> str:
    """Where the chain breaks; "" if it does not, or nobody can say."""
    for place, (one, issuer) in enumerate(pairwise(chain), start=1):
        try:
            one.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature):
            return (
                f"certificate {place} is not signed by the one behind it ({issuer.subject.rfc4514_string()})"
            )
    last = chain[-1]
    if last.issuer == last.subject:
        return ""
    roots = _roots()
    if not roots or last.issuer.public_bytes() in roots:
        return ""
    return f"its issuer {last.issuer.rfc4514_string()} is neither in it nor an authority of this system"


def _roots() -> set[bytes]:
    """The names of the authorities that this system knows."""
    names = set()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of oddities in certificates that are not ours
        for der in ssl.create_default_context().get_ca_certs(binary_form=True):
            try:
                names.add(x509.load_der_x509_certificate(der).subject.public_bytes())
            except ValueError:
                continue
    return names
