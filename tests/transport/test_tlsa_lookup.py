"""Which TLSA questions are asked, and what the answers amount to."""

import pytest

from relay.base.route import Host
from relay.codec.tlsa import Tlsa
from relay.transport.answers import Answer, Status
from relay.transport.tls_decision import TlsaState
from relay.transport.tlsa_lookup import find_tlsa

GOOD = Tlsa(3, 1, 1, bytes(32))
ODD = Tlsa(1, 1, 1, bytes(32))
HOST = Host("mx.example")
SECURE = Answer(Status.FOUND, addresses=("192.0.2.1",), is_secure=True, canonical="mx.example")
OPEN = Answer(Status.FOUND, addresses=("192.0.2.1",), canonical="mx.example")


def found(*records: Tlsa, is_secure: bool = True) -> Answer:
    return Answer(Status.FOUND, tlsa=records, is_secure=is_secure)


NOTHING = Answer(Status.NO_DOMAIN)
BROKEN = Answer(Status.TEMPORARY, detail="SERVFAIL")


class Names:
    def __init__(self, tlsa: dict[str, Answer], alias: Answer = NOTHING) -> None:
        self.answers, self.alias = tlsa, alias
        self.asked: list[str] = []

    async def tlsa(self, name: str) -> Answer:
        self.asked.append(name)
        return self.answers.get(name.removeprefix("_25._tcp."), NOTHING)

    async def cname(self, name: str) -> Answer:
        self.asked.append(f"CNAME {name}")
        return self.alias


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (found(GOOD), TlsaState.USABLE),
        (found(ODD, GOOD), TlsaState.USABLE),
        (found(ODD), TlsaState.UNUSABLE),
        (found(GOOD, is_secure=False), TlsaState.NONE),
        (NOTHING, TlsaState.NONE),
        (Answer(Status.EMPTY, is_secure=True), TlsaState.NONE),
        (BROKEN, TlsaState.UNKNOWN),
    ],
)
async def test_a_host_with_secure_addresses(answer: Answer, state: TlsaState) -> None:
    names = Names({"mx.example": answer})
    tlsa = await find_tlsa(names, HOST, SECURE)
    assert tlsa.state is state
    assert names.asked == ["_25._tcp.mx.example"]
    if state is TlsaState.USABLE:
        assert (tlsa.records, tlsa.name) == ((GOOD,), "mx.example")
    if state is TlsaState.UNKNOWN:
        assert tlsa.detail == "SERVFAIL"


async def test_without_proof_of_the_addresses_nothing_is_asked() -> None:
    names = Names({"mx.example": found(GOOD)})
    assert (await find_tlsa(names, HOST, OPEN)).state is TlsaState.NONE
    literal = Answer(Status.FOUND, addresses=("192.0.2.1",))
    assert (await find_tlsa(names, Host("192.0.2.1"), literal)).state is TlsaState.NONE
    assert names.asked == []


async def test_an_alias_is_looked_for_where_it_leads_then_by_its_own_name() -> None:
    aliased = Answer(Status.FOUND, is_secure=True, canonical="real.example")
    names = Names({"real.example": found(GOOD), "mx.example": found(ODD)})
    assert (await find_tlsa(names, HOST, aliased)).name == "real.example"
    names = Names({"mx.example": found(GOOD)})
    assert (await find_tlsa(names, HOST, aliased)).name == "mx.example"
    assert names.asked == ["_25._tcp.real.example", "_25._tcp.mx.example"]
    names = Names({"real.example": BROKEN, "mx.example": found(GOOD)})
    assert (await find_tlsa(names, HOST, aliased)).state is TlsaState.UNKNOWN


async def test_an_alias_out_of_a_signed_zone_counts_by_its_own_name_alone() -> None:
    aliased = Answer(Status.FOUND, is_secure=False, canonical="real.example")
    signed = Answer(Status.FOUND, texts=("real.example",), is_secure=True)
    names = Names({"real.example": found(GOOD), "mx.example": found(GOOD)}, signed)
    assert (await find_tlsa(names, HOST, aliased)).name == "mx.example"
    assert names.asked == ["CNAME mx.example", "_25._tcp.mx.example"]
    names = Names({"mx.example": found(GOOD)}, Answer(Status.FOUND, texts=("real.example",)))
    assert (await find_tlsa(names, HOST, aliased)).state is TlsaState.NONE
    names = Names({"mx.example": found(GOOD)}, BROKEN)
    assert (await find_tlsa(names, HOST, aliased)).state is TlsaState.UNKNOWN


async def test_the_port_is_part_of_the_name() -> None:
    names = Names({})
    await find_tlsa(names, Host("mx.example", 2525), SECURE)
    assert names.asked == ["_2525._tcp.mx.example"]
