"""The kinds of failure, from handshakes of OpenSSL with certificates of each kind."""

import ssl
from pathlib import Path

import pytest

from relay.base.tls_session import TlsFailure
from relay.transport.tls_failure import failure_of
from tests.fakes.authority import Authority
from tests.fakes.certificate import make_pair


@pytest.mark.parametrize(
    ("names", "age_days", "is_ours", "kind"),
    [
        (("mx.example",), 0, True, None),
        (("other.example",), 0, True, TlsFailure.CERTIFICATE_HOST_MISMATCH),
        (("127.0.0.1",), 0, True, TlsFailure.CERTIFICATE_HOST_MISMATCH),
        (("mx.example",), 30, True, TlsFailure.CERTIFICATE_EXPIRED),
        (("mx.example",), -30, True, TlsFailure.CERTIFICATE_EXPIRED),
        (("mx.example",), 0, False, TlsFailure.CERTIFICATE_NOT_TRUSTED),
    ],
)
def test_a_certificate(
    tmp_path: Path, names: tuple[str, ...], age_days: int, is_ours: bool, kind: TlsFailure | None
) -> None:
    ours, other = Authority(tmp_path), Authority(tmp_path, "Other CA")
    pair = (ours if is_ours else other).issue(*names, age_days=age_days)
    assert failure(pair, ours.file) == kind


def test_a_certificate_that_signs_itself(tmp_path: Path) -> None:
    assert failure(make_pair(tmp_path, "mx.example"), Authority(tmp_path).file) == (
        TlsFailure.CERTIFICATE_NOT_TRUSTED
    )


@pytest.mark.parametrize("fault", [ssl.SSLError("wrong version"), ConnectionResetError(), TimeoutError()])
def test_anything_else(fault: Exception) -> None:
    assert failure_of(fault) is TlsFailure.VALIDATION_FAILURE


def failure(pair: tuple[Path, Path], ca_file: Path) -> TlsFailure | None:
    """What a handshake in memory comes to."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*pair)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.load_verify_locations(ca_file)
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(back, there, server_hostname="mx.example"),
        server.wrap_bio(there, back, server_side=True),
    ]
    for _ in range(10):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLCertVerificationError as fault:
                return failure_of(fault)
    return None
