"""What control fields asked for, as it is stored, told and shown."""

import json

from hypothesis import given
from hypothesis import strategies as st

from relay.base import control

ARN = "arn:aws:ses:us-east-1:000000000001:identity/example.com"


def test_nothing_is_stored_as_nothing() -> None:
    assert control.make({}, {}, []) == ""
    assert control.for_people("") == {}
    for nothing in ("", "{}"):
        assert control.add_to('{"reason":"x"}', nothing) == '{"reason":"x"}'


def test_the_members_are_those_of_the_mail_object() -> None:
    tags = {control.CONFIGURATION_SET: ["news"], "campaign": ["book", "clothing"]}
    stored = control.make(tags, {"sourceArn": ARN}, [])
    assert json.loads(stored) == {"tags": tags, "sourceArn": ARN}
    detail = json.loads(control.add_to('{"recipient":"a@example.org"}', stored))
    assert detail == {"recipient": "a@example.org", "tags": tags, "sourceArn": ARN}


def test_people_read_it_without_json() -> None:
    tags = {control.CONFIGURATION_SET: ["news"], "campaign": ["book", "clothing"], "x": ["1"]}
    arns = {"sourceArn": ARN, "fromArn": ARN, "returnPathArn": ARN}
    assert control.for_people(control.make(tags, arns, ["X-SES-MESSAGE-TAGS"])) == {
        "configuration_set": "news",
        "tags": "campaign=book, campaign=clothing, x=1",
        "source_arn": ARN,
        "from_arn": ARN,
        "return_path_arn": ARN,
        "ignored": "X-SES-MESSAGE-TAGS",
    }


texts = st.text(max_size=20)


@given(
    st.dictionaries(texts, texts, min_size=1),
    st.dictionaries(texts, st.lists(texts)),
    st.dictionaries(st.sampled_from(["sourceArn", "fromArn"]), texts),
)
def test_whatever_is_in_them_a_detail_stays_one_object(
    detail: dict[str, str], tags: dict[str, list[str]], arns: dict[str, str]
) -> None:
    stored = control.make(tags, arns, [])
    joined = json.loads(control.add_to(json.dumps(detail), stored))
    assert joined == {**detail, **({"tags": tags} if tags else {}), **arns}
