"""What went wrong in a TLS handshake, as the word that receivers are told (RFC 8460 4.3).

Pure. OpenSSL's code of a certificate that does not verify is told apart into expired, for another name, and
not trusted; all else that ends a handshake is a validation failure.
"""

from __future__ import annotations

import ssl

from relay.base.tls_session import TlsFailure

# X509_V_ERR_* of openssl/x509_vfy.h
_EXPIRED = (9, 10)  # not yet valid, has expired
_MISMATCH = (62, 64)  # host name, IP address
_NOT_TRUSTED = (
    2,
    18,
    19,
    20,
    21,
    27,
)  # no issuer, self-signed (alone, in the chain), no local issuer, leaf only


def failure_of(fault: BaseException) -> TlsFailure:
    """The kind of failure that an exception of the handshake is."""
    if not isinstance(fault, ssl.SSLCertVerificationError):
        return TlsFailure.VALIDATION_FAILURE
    if fault.verify_code in _MISMATCH:
        return TlsFailure.CERTIFICATE_HOST_MISMATCH
    if fault.verify_code in _EXPIRED:
        return TlsFailure.CERTIFICATE_EXPIRED
    if fault.verify_code in _NOT_TRUSTED:
        return TlsFailure.CERTIFICATE_NOT_TRUSTED
    return TlsFailure.VALIDATION_FAILURE
