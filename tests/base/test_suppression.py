"""The form in which addresses are compared, and what stands in place of a suppressed recipient's domain."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.base.address import check_address, parse_path
from relay.base.suppression import (
    SERVICE,
    SuppressionReason,
    is_suppressed,
    listed_form,
    reasons_of,
    reasons_text,
    suppressed_as,
)


@pytest.mark.parametrize(
    ("address", "listed"),
    [
        ("Ann.Other@Example.ORG", "ann.other@example.org"),
        ("ann+List@example.org", "ann+list@example.org"),
        ("Jürgen@Bücher.example", "jürgen@xn--bcher-kva.example"),
        ("Ju\u0308rgen@example.org", "jürgen@example.org"),  # the same letter, put together
        ("ann@[192.0.2.1]", "ann@[192.0.2.1]"),
    ],
)
def test_addresses_are_compared_without_case(address: str, listed: str) -> None:
    assert listed_form(address) == listed
    assert listed_form(listed) == listed


@given(
    st.from_regex(r"[A-Za-z0-9\u00c0-\u017f+.]{1,20}@[a-z0-9\u00e0-\u00f6]{1,10}\.example", fullmatch=True)
)
def test_the_form_of_a_form_is_itself(address: str) -> None:
    try:
        form = listed_form(address)
    except ValueError:
        return
    assert listed_form(form) == form


@pytest.mark.parametrize("reason", SuppressionReason)
@pytest.mark.parametrize("list_of", [SERVICE, 7])
def test_no_real_recipient_looks_suppressed(list_of: int, reason: SuppressionReason) -> None:
    domain = suppressed_as(list_of, reason)
    assert is_suppressed(domain)
    with pytest.raises(ValueError, match="bad domain"):
        check_address(f"x@{domain}")
    with pytest.raises(ValueError, match="bad domain"):
        parse_path(f"<x@{domain}>")
    assert not is_suppressed("suppressed.example")


def test_each_list_and_reason_has_its_own() -> None:
    every = {suppressed_as(list_of, reason) for list_of in (SERVICE, 7) for reason in SuppressionReason}
    assert len(every) == 3  # why it is on the service-wide list concerns nobody


def test_the_reasons_of_an_account_are_a_text() -> None:
    assert reasons_of("") == frozenset()
    assert reasons_of("BOUNCE,COMPLAINT") == set(SuppressionReason)
    assert reasons_text(reasons_of("COMPLAINT,BOUNCE")) == "BOUNCE,COMPLAINT"
    with pytest.raises(ValueError, match="ANGER"):
        reasons_of("ANGER")
