import re

from relay.base.reply import Reply
from relay.ingress import replies


def test_every_reply_has_both_forms():
    pairs = {name: value for name, value in vars(replies).items() if name.isupper()}
    assert len(pairs) > 40
    for plain, enhanced in pairs.values():
        assert re.fullmatch(rb"[2-5]\d\d [^\r\n]*\r\n", plain)
        code = plain[:3]
        if code[:1] == b"3":
            assert enhanced == plain  # RFC 2034 4: no enhanced code where the dialogue goes on
        else:
            assert re.fullmatch(code + rb" " + code[:1] + rb"\.\d+\.\d+ " + re.escape(plain[4:]), enhanced)


def test_a_reply_of_a_later_stage_gets_an_enhanced_code():
    assert replies.pair_of(Reply(554, "no")) == (b"554 no\r\n", b"554 5.0.0 no\r\n")
    assert replies.pair_of(Reply(454, "wait", "4.7.1"))[1] == b"454 4.7.1 wait\r\n"
