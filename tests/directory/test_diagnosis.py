"""The usual mistakes, each published as people do, each named."""

import pytest

from relay.directory.diagnosis import Diagnosis, Seen, Verdict, diagnose, questions
from relay.directory.published import Record, token_records

DOMAIN = "example.org"
TOKEN = "abcdefghijklmnopqrstuvwxyz234567"
(PROOF,) = token_records(DOMAIN, TOKEN, "_relay")
CNAME = Record(f"sel._domainkey.{DOMAIN}", "CNAME", "sel.dkim.relay.example", "key")
KEY = Record(f"sel._domainkey.{DOMAIN}", "TXT", "v=DKIM1; k=rsa; p=" + "MIIB" * 80, "key")
MX = Record(f"bounce.{DOMAIN}", "MX", "10 relay.example", "bounces")
SPF = Record(f"bounce.{DOMAIN}", "TXT", "v=spf1 a:relay.example ~all", "SPF")
NAME, BARE = f"_relay.{DOMAIN}", f"relay.{DOMAIN}"
SELECTOR = f"sel._domainkey.{DOMAIN}"


def judge(record: Record, published: dict[str, list[str]], kind: str = "", lost: str = "") -> Diagnosis:
    """The diagnosis where these values are all there is, and ``lost`` gets no answer."""
    seen = {}
    for name, asked in questions(record, DOMAIN):
        values = tuple(published.get(name, [])) if asked == (kind or record.type) else ()
        seen[name, asked] = Seen(values, is_known=name != lost, has_name="gone" not in published)
    return diagnose(record, DOMAIN, seen)


@pytest.mark.parametrize(
    ("record", "published"),
    [
        (PROOF, {NAME: [TOKEN]}),
        (PROOF, {NAME: ["v=spf1 -all", f" {TOKEN} "]}),
        (KEY, {SELECTOR: [KEY.value]}),
        (KEY, {SELECTOR: ["v=DKIM1;k=rsa;p= " + "MIIB" * 40 + " " + "MIIB" * 40 + ";"]}),
        (CNAME, {SELECTOR: ["SEL.dkim.relay.example"]}),
        (MX, {MX.name: ["5 relay.example"]}),
        (SPF, {SPF.name: ["other", SPF.value]}),
    ],
)
def test_what_is_right_is_found(record: Record, published: dict[str, list[str]]) -> None:
    assert judge(record, published) == Diagnosis(record, Verdict.FOUND)


def test_the_name_without_the_underscore_does_for_the_proof() -> None:
    found = judge(PROOF, {BARE: [TOKEN]})
    assert found.verdict is Verdict.FOUND
    assert "without the underscore" in found.advice


@pytest.mark.parametrize(
    ("record", "published", "says"),
    [
        (PROOF, {f"{NAME}.{DOMAIN}": [TOKEN]}, "appended the domain once more"),
        (PROOF, {f"{BARE}.{DOMAIN}": [TOKEN]}, "appended the domain once more"),
        (PROOF, {DOMAIN: ["v=spf1 -all", TOKEN]}, f"directly under {DOMAIN}"),
        (PROOF, {DOMAIN: [f"_relay={TOKEN}"]}, f"directly under {DOMAIN}"),
        (PROOF, {NAME: [f'"{TOKEN}"']}, "quotes are part of the value"),
        (PROOF, {NAME: [f"\u201c{TOKEN}\u201d"]}, "quotes are part of the value"),
        (PROOF, {NAME: [f"\\{chr(34)}{TOKEN}\\{chr(34)}"]}, "quotes are part of the value"),
        (PROOF, {NAME: [f"{TOKEN[:16]} {TOKEN[16:]}"]}, "spaces or line ends within"),
        (PROOF, {NAME: [TOKEN.upper()]}, "upper and lower case"),
        (PROOF, {NAME: [TOKEN[:20]]}, "cut off"),
        (PROOF, {NAME: [TOKEN[16:], TOKEN[:16]]}, "spread over several records"),
        (PROOF, {NAME: [f"_relay={TOKEN}"]}, "more in the value than there should be"),
        (PROOF, {NAME: ["zyxwvutsrqponmlkjihgfedcba765432"]}, "beside it as a second TXT record"),
        (KEY, {SELECTOR: [KEY.value[:255]]}, "cut off"),
        (KEY, {SELECTOR: ["v=DKIM1; k=rsa; p=other"]}, "replace it by this one"),
        (KEY, {f"sel.domainkey.{DOMAIN}": [KEY.value]}, "without the underscore"),
        (KEY, {f"{SELECTOR}.{DOMAIN}": [KEY.value]}, f"Enter the name as sel._domainkey, or as {SELECTOR}."),
        (CNAME, {SELECTOR: [f"sel.dkim.relay.example.{DOMAIN}"]}, "appended the domain to the target"),
        (CNAME, {SELECTOR: ["other.example"]}, "leads to other.example"),
        (CNAME, {f"{SELECTOR}.{DOMAIN}": ["sel.dkim.relay.example"]}, "appended the domain once more"),
        (MX, {MX.name: ["10 relay.example", "20 mx.else.example"]}, "let 10 relay.example be the only one"),
        (SPF, {SPF.name: ["v=spf1 -all"]}, "replace it by this one"),
    ],
)
def test_what_is_wrong_is_named(record: Record, published: dict[str, list[str]], says: str) -> None:
    found = judge(record, published)
    assert found.verdict is Verdict.WRONG
    assert says in found.advice


def test_pieces_in_several_records_are_recognised() -> None:
    value = "ab;cd;ef"
    record = Record("x.example.org", "TXT", value, "")
    found = judge(record, {record.name: ["cd;", "ef", "ab;"]})
    assert "spread over several records" in found.advice


def test_a_txt_record_where_a_cname_should_be() -> None:
    assert "replace it by a CNAME" in judge(CNAME, {SELECTOR: ["v=DKIM1; p=x"]}, kind="TXT").advice


@pytest.mark.parametrize("record", [PROOF, KEY, CNAME, MX, SPF])
def test_nothing_there_is_missing_and_no_answer_is_unknown(record: Record) -> None:
    found = judge(record, {})
    assert (found.verdict, found.advice) == (
        Verdict.MISSING,
        f"publish {record.type} at {record.name} with this value",
    )
    assert judge(record, {}, lost=record.name).verdict is Verdict.UNKNOWN
    assert (
        judge(record, {"gone": []}).advice
        == f"{DOMAIN} does not exist in the DNS: is it registered and delegated?"
    )


def test_an_answer_for_one_of_two_names_is_enough_to_find_it() -> None:
    assert judge(PROOF, {BARE: [TOKEN]}, lost=NAME).verdict is Verdict.FOUND
    assert judge(PROOF, {}, lost=BARE).verdict is Verdict.UNKNOWN


def test_no_question_is_asked_twice() -> None:
    for record in (PROOF, KEY, CNAME, MX, SPF):
        asked = questions(record, DOMAIN)
        assert len(asked) == len(set(asked)) <= 6
