"""What is published, and whether it is right."""

import pytest

from relay.directory import keys
from relay.directory.dkim_records import PublicKey, fault, service_zone, to_publish
from relay.directory.published import zone_line
from relay.directory.records import KeyOrigin, KeyState

TEXT = "v=DKIM1; k=rsa; p=MIGfMA0G"


def public(selector: str, origin: KeyOrigin = KeyOrigin.RELAY) -> PublicKey:
    return PublicKey(1, "example.org", selector, keys.RSA, KeyState.ACTIVE, origin, TEXT)


def test_tokens_are_cnames_into_the_service_domain_and_an_owners_key_is_a_text() -> None:
    both = [public("tok"), public("mine", KeyOrigin.OWNER)]
    assert [(r.name, r.type, r.value) for r in to_publish(both, "relay.example")] == [
        ("tok._domainkey.example.org", "CNAME", "tok.dkim.relay.example"),
        ("mine._domainkey.example.org", "TXT", TEXT),
    ]
    for direct in (to_publish(both), to_publish(both, "relay.example", is_direct=True)):
        assert [(r.type, r.value) for r in direct] == [("TXT", TEXT)] * 2


def test_the_zone_of_the_service_domain_has_what_the_cnames_lead_to() -> None:
    lines = [
        zone_line(r)
        for r in service_zone([public("b"), public("a"), public("c", KeyOrigin.OWNER)], "s.example")
    ]
    assert lines == [f'{token}.dkim.s.example. IN TXT "{TEXT}"' for token in "ab"]


@pytest.mark.parametrize(
    ("texts", "what"),
    [
        ([TEXT], ""),
        (["k=rsa;p=MIGf MA0G;"], ""),  # v= may be left out, white space in p= means nothing
        (["p=MIGfMA0G"], ""),
        (["v=DKIM1; k=rsa; h=sha1:sha256; s=email; t=s; p=MIGfMA0G"], ""),
        ([], "no TXT record"),
        ([TEXT, TEXT], "keep one"),
        (["hello"], "no list of tags"),
        (["p=a; p=b"], "no list of tags"),
        (["v=DKIM2; p=MIGfMA0G"], "must be v=DKIM1"),
        (["v=DKIM1; k=rsa"], "no p="),
        (["v=DKIM1; k=ed25519; p=MIGfMA0G"], "must be k=rsa"),
        (["v=DKIM1; p="], "revokes"),
        (["v=DKIM1; p=MIGf"], "cut off"),
        (["v=DKIM1; p=OTHER"], "another key"),
        (["v=DKIM1; h=sha1; p=MIGfMA0G"], "leave h= out"),
        (["v=DKIM1; s=tlsrpt; p=MIGfMA0G"], "leave s= out"),
    ],
)
def test_what_is_wrong_is_named(texts: list[str], what: str) -> None:
    found = fault(texts, TEXT)
    assert what in found if what else found == ""


@pytest.mark.parametrize("algorithm", keys.ALGORITHMS)
def test_our_own_records_are_right(algorithm: str) -> None:
    key = keys.load(keys.generate(algorithm, 1024), "example.org", "s", algorithm)
    assert fault([keys.public_record(key)], keys.public_record(key)) == ""
