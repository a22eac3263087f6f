"""Which chains TLSA records vouch for."""

import datetime
import subprocess
from collections.abc import Iterator

import pytest

from relay.base.tls_session import TlsFailure
from relay.codec.tlsa import Tlsa
from relay.transport.dane import judge_chain
from tests.fakes.chains import make, server_context
from tests.fakes.machine import need
from tests.fakes.sink import Sink
from tests.scenarios.receiver import LoopThread

NAME = "mx.example.org"
NOW = datetime.datetime.now(datetime.UTC).timestamp()
ROOT = make("Root", is_authority=True)
MIDDLE = make("Middle", ROOT, is_authority=True)
SERVER = make("server", MIDDLE, names=(NAME,))
WILD = make("server", MIDDLE, names=("*.example.org",))
OTHER_NAME = make("server", MIDDLE, names=("other.example",))
NAMELESS = make(NAME, MIDDLE)
EXPIRED = make("server", MIDDLE, names=(NAME,), age_days=30)
STRANGER = make("Middle", is_authority=True)
FORGED = make("server", STRANGER, names=(NAME,))
NO_AUTHORITY = make("Leaf", ROOT, names=("leaf.example",))
BY_LEAF = make("server", NO_AUTHORITY, names=(NAME,))
OLD_ROOT = make("Root", is_authority=True, age_days=30)
BY_OLD = make("server", OLD_ROOT, names=(NAME,))


def judged(chain: list, *records: Tlsa) -> TlsFailure | None:
    fault = judge_chain([one.der for one in chain], records, NAME, NOW)
    return fault and fault.failure


@pytest.mark.parametrize(
    "server",
    [SERVER, OTHER_NAME, NAMELESS, EXPIRED, make("alone")],
    ids=lambda one: str(one.certificate.subject),
)
@pytest.mark.parametrize(("selector", "matching"), [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)])
def test_dane_ee_asks_for_nothing_but_the_certificate(server, selector, matching) -> None:
    assert judged([server], server.tlsa(3, selector, matching)) is None
    assert judged([server], make("x").tlsa(3, selector, matching)) is TlsFailure.CERTIFICATE_NOT_TRUSTED


def test_dane_ee_is_about_the_servers_own_certificate() -> None:
    assert judged([SERVER, MIDDLE], MIDDLE.tlsa(3, 1, 1)) is TlsFailure.CERTIFICATE_NOT_TRUSTED


BY_AUTHORITY = [
    ([SERVER, MIDDLE, ROOT], [ROOT.tlsa(2, 0, 1)], None),
    ([SERVER, MIDDLE, ROOT], [ROOT.tlsa(2, 1, 2)], None),
    ([SERVER, MIDDLE], [MIDDLE.tlsa(2, 1, 1)], None),
    ([WILD, MIDDLE], [MIDDLE.tlsa(2, 1, 1)], None),
    ([SERVER, MIDDLE], [ROOT.tlsa(2, 0, 0)], None),  # the authority is in the record alone
    ([SERVER, ROOT, MIDDLE], [ROOT.tlsa(2, 0, 1)], None),  # in a wrong order
    ([SERVER, MIDDLE], [make("x").tlsa(3, 1, 1), MIDDLE.tlsa(2, 1, 1)], None),  # one of several is enough
    ([SERVER, MIDDLE], [ROOT.tlsa(2, 0, 1)], TlsFailure.CERTIFICATE_NOT_TRUSTED),  # it did not show it
    ([SERVER, ROOT], [ROOT.tlsa(2, 0, 1)], TlsFailure.CERTIFICATE_NOT_TRUSTED),  # a link is missing
    ([OTHER_NAME, MIDDLE], [MIDDLE.tlsa(2, 1, 1)], TlsFailure.CERTIFICATE_HOST_MISMATCH),
    ([NAMELESS, MIDDLE], [MIDDLE.tlsa(2, 1, 1)], TlsFailure.CERTIFICATE_HOST_MISMATCH),
    ([EXPIRED, MIDDLE], [MIDDLE.tlsa(2, 1, 1)], TlsFailure.CERTIFICATE_EXPIRED),
    ([BY_OLD, OLD_ROOT], [OLD_ROOT.tlsa(2, 0, 1)], TlsFailure.CERTIFICATE_NOT_TRUSTED),
    # an authority that is shown, and has not signed the server's certificate
    ([FORGED, MIDDLE], [MIDDLE.tlsa(2, 1, 1)], TlsFailure.CERTIFICATE_NOT_TRUSTED),
    # one that may not sign
    ([BY_LEAF, NO_AUTHORITY, ROOT], [ROOT.tlsa(2, 0, 1)], TlsFailure.CERTIFICATE_NOT_TRUSTED),
    ([SERVER, MIDDLE], [Tlsa(2, 0, 0, b"no certificate")], TlsFailure.CERTIFICATE_NOT_TRUSTED),
    ([SERVER, MIDDLE], [], TlsFailure.CERTIFICATE_NOT_TRUSTED),
    ([], [SERVER.tlsa(3, 1, 1)], TlsFailure.VALIDATION_FAILURE),
]


@pytest.mark.parametrize(("chain", "records", "failure"), BY_AUTHORITY)
def test_dane_ta_asks_for_the_chain_the_name_and_the_time(chain, records, failure) -> None:
    assert judged(chain, *records) is failure


def test_what_cannot_be_read_vouches_for_nothing() -> None:
    fault = judge_chain([b"junk"], [SERVER.tlsa(3, 1, 1)], NAME, NOW)
    assert fault is not None
    assert fault.failure is TlsFailure.VALIDATION_FAILURE


def test_the_fault_says_which_name_the_certificate_has() -> None:
    fault = judge_chain([OTHER_NAME.der, MIDDLE.der], [MIDDLE.tlsa(2, 1, 1)], NAME, NOW)
    assert fault is not None
    assert "other.example, not for mx.example.org" in fault.detail


@pytest.fixture(scope="module")
def thread() -> Iterator[LoopThread]:
    started = LoopThread()
    yield started
    started.end()


BY_SERVER = [
    (
        [one],
        [(one if is_right else STRANGER).tlsa(3, selector, 1)],
        None if is_right else TlsFailure.CERTIFICATE_NOT_TRUSTED,
    )
    for one in (SERVER, OTHER_NAME, EXPIRED)
    for selector in (0, 1)
    for is_right in (True, False)
]

COMPARED = [row for row in BY_AUTHORITY + BY_SERVER if row[0] and row[1]]  # openssl needs both


@pytest.mark.parametrize(("chain", "records", "failure"), COMPARED)
def test_openssl_thinks_the_same(thread: LoopThread, tmp_path, chain, records, failure) -> None:
    """Its own DANE, over the same records and a server that shows the same chain. It takes a common name
    where there is no other, which RFC 7672 leaves to the client; we do not."""
    sink = Sink(tls=server_context(tmp_path, *chain))
    thread.run(sink.start())
    said = subprocess.run(
        [
            need("openssl", "openssl"), "s_client", "-connect", f"127.0.0.1:{sink.port}", "-starttls", "smtp",
            "-dane_tlsa_domain", NAME, "-dane_ee_no_namechecks", "-verify_return_error", "-brief",
            *[word for one in records for word in ("-dane_tlsa_rrdata", str(one))],
        ],
        input=b"QUIT\r\n", capture_output=True, timeout=30,
    )  # fmt: skip
    thread.run(sink.stop())
    if b"unable to" in said.stderr or b"usable" in said.stderr:
        assert failure is not None  # a record that it does not even take
    else:
        is_fine = failure is None or chain[0] is NAMELESS
        assert (b"Verification: OK" in said.stderr) is is_fine, said.stderr.decode()
