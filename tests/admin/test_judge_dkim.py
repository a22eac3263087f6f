"""DKIM records as a table: what is wrong with each, and the record to publish."""

import base64
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from relay.admin.finding import Facts, KeySeen, Level
from relay.admin.judge_dkim import good_domains, judge_dkim
from relay.directory import keys
from tests.admin.examined import DOMAIN, RECORD, TEMPORARY, WELL, but, key, texts, worst

OTHER = keys.public_record(keys.load(keys.generate(keys.RSA), DOMAIN, "s1", keys.RSA))
P = RECORD.partition("p=")[2]


def of_size(bits: int) -> KeySeen:
    public = generate_private_key(65537, bits).public_key()
    octets = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    record = f"v=DKIM1; k=rsa; p={base64.b64encode(octets).decode()}"
    return KeySeen("s1._domainkey.example.org", DOMAIN, record, texts(record))


def test_all_is_well() -> None:
    (finding,) = judge_dkim(WELL)
    assert (finding.level, finding.seen) == (Level.OK, "s1._domainkey.example.org is right, RSA 2048")
    assert good_domains(WELL) == [DOMAIN]


def test_ed25519_is_as_good() -> None:
    record = keys.public_record(keys.load(keys.generate(keys.ED25519), DOMAIN, "e", keys.ED25519))
    (finding,) = judge_dkim(but(keys=(KeySeen("e._domainkey.example.org", DOMAIN, record, texts(record)),)))
    assert (finding.level, finding.seen) == (Level.OK, "e._domainkey.example.org is right, Ed25519")


@pytest.mark.parametrize(
    ("facts", "level", "seen"),
    [
        (but(keys=(key(),)), Level.PROBLEM, "there is no TXT record"),
        (but(keys=(key(RECORD, OTHER),)), Level.PROBLEM, "there are 2 TXT records"),
        (but(keys=(key("DKIM1 " + P),)), Level.PROBLEM, "is no list of tags"),
        (but(keys=(key(f"v=DKIM2; p={P}"),)), Level.PROBLEM, "says v=DKIM2"),
        (but(keys=(key("v=DKIM1; p="),)), Level.PROBLEM, "revokes the key"),
        (but(keys=(key(f"v=DKIM1; k=ed25519; p={P}"),)), Level.PROBLEM, "says k=ed25519; it must be k=rsa"),
        (but(keys=(key(OTHER),)), Level.PROBLEM, "holds another key"),
        (but(keys=(key(RECORD[:255]),)), Level.PROBLEM, "is cut off"),
        (but(keys=(key(f"{RECORD}; h=sha1"),)), Level.PROBLEM, "allows only the hashes sha1"),
        (but(keys=(key(f"{RECORD}; s=other"),)), Level.PROBLEM, "other services than mail (s=other)"),
        (but(keys=(key(f"{RECORD}; t=y"),)), Level.WARNING, "says t=y"),
        (but(keys=(key(f"k=rsa; t=s; h=sha1 : sha256; s=email; p={P}"),)), Level.OK, "is right"),
        (but(keys=(of_size(1024),)), Level.WARNING, "is right, RSA 1024"),
        (but(is_dkim_on=False, keys=()), Level.WARNING, "is switched off for example.org"),
        (
            but(keys=(replace(key(RECORD), is_signing=False),), dkim_state="pending"),
            Level.PROBLEM,
            "no key signs for example.org now: its records are pending",
        ),
        (but(keys=()), Level.PROBLEM, "no key signs for example.org now"),
        (
            but(keys=(key(RECORD, domain="service.example", is_service=True),)),
            Level.PROBLEM,
            "no key signs for example.org now",
        ),
        (but(keys=(KeySeen("s", DOMAIN, RECORD, TEMPORARY),)), Level.PROBLEM, "the DNS did not answer"),
    ],
)
def test_each_state_of_the_record(facts: Facts, level: Level, seen: str) -> None:
    finding = worst(list(judge_dkim(facts)))
    assert (finding.level, finding.about) == (level, "DKIM")
    assert seen in finding.seen
    is_good = level is not Level.PROBLEM and bool(facts.keys)
    assert (DOMAIN in good_domains(facts)) is is_good


def test_what_is_wrong_comes_with_the_record_to_publish() -> None:
    (finding,) = judge_dkim(but(keys=(key(OTHER),)))
    assert finding.publish == "publish it"
