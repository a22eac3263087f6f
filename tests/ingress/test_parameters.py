import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.base.message import Envelope, TlsWish
from relay.ingress import replies
from relay.ingress.parameters import Refusal, read_mail, read_rcpt


@pytest.mark.parametrize(
    ("rest", "changed"),
    [
        ("", {}),
        ("SIZE=1000", {"size_bytes": 1000}),
        ("size=0", {}),
        ("BODY=8BITMIME", {"is_8bit": True}),
        ("BODY=7bit", {}),
        ("SMTPUTF8", {"is_utf8": True}),
        ("RET=hdrs ENVID=QQ+2B314", {"ret": "HDRS", "envid": "QQ+314"}),
        ("AUTH=<> SIZE=5", {"size_bytes": 5}),
        ("AUTH=e+3Dmc2@example.com", {}),
        ("BY=120;R", {"deliver_within_s": 120.0}),
        ("by=+999999999;rt", {"deliver_within_s": 999_999_999.0}),
        ("BY=3600;N SIZE=5", {"deliver_within_s": 3600.0, "is_by_notify": True, "size_bytes": 5}),
        ("BY=-60;N", {"deliver_within_s": -60.0, "is_by_notify": True}),
        ("BY=0;n", {"deliver_within_s": -1.0, "is_by_notify": True}),  # the time is over already
    ],
)
def test_mail(rest, changed):
    envelope = Envelope()
    read_mail(rest, envelope, 1000)
    expected = Envelope()
    for name, value in changed.items():
        setattr(expected, name, value)
    assert envelope == expected


@pytest.mark.parametrize(
    ("rest", "reply"),
    [
        ("SIZE=1001", replies.TOO_LONG_MESSAGE),
        ("SIZE=", replies.BAD_PARAMETER),
        ("SIZE", replies.BAD_PARAMETER),
        ("SIZE=-1", replies.BAD_PARAMETER),
        ("SIZE=1²", replies.BAD_PARAMETER),
        ("SIZE=" + "9" * 5000, replies.BAD_PARAMETER),
        ("SIZE=1 SIZE=2", replies.BAD_PARAMETER),
        ("BODY=BINARYMIME", replies.BAD_PARAMETER),
        ("BODY", replies.BAD_PARAMETER),
        ("SMTPUTF8=yes", replies.BAD_PARAMETER),
        ("RET=ALL", replies.BAD_PARAMETER),
        ("ENVID=a+0D+0Ab", replies.BAD_PARAMETER),
        ("ENVID=a+2", replies.BAD_PARAMETER),
        ("ENVID=" + "x" * 101, replies.BAD_PARAMETER),
        ("BY=0;R", replies.NO_TIME_LEFT),
        ("BY=-5;R", replies.NO_TIME_LEFT),
        ("BY=120", replies.BAD_PARAMETER),
        ("BY=120;X", replies.BAD_PARAMETER),
        ("BY=;R", replies.BAD_PARAMETER),
        ("BY=1234567890;R", replies.BAD_PARAMETER),
        ("BY=\u0661;R", replies.BAD_PARAMETER),
        ("BY", replies.BAD_PARAMETER),
        ("XFORWARD=1", replies.UNKNOWN_PARAMETER),
        ("=", replies.UNKNOWN_PARAMETER),
    ],
)
def test_mail_refused(rest, reply):
    with pytest.raises(Refusal) as caught:
        read_mail(rest, Envelope(), 1000)
    if rest == "=":
        assert caught.value.pair in (reply, replies.BAD_PARAMETER)
    else:
        assert caught.value.pair == reply


@pytest.mark.parametrize(
    ("rest", "notify", "orcpt"),
    [
        ("", "", ""),
        ("NOTIFY=never", "NEVER", ""),
        ("NOTIFY=SUCCESS,FAILURE,DELAY", "SUCCESS,FAILURE,DELAY", ""),
        ("ORCPT=rfc822;a+2Bb@example.org", "", "rfc822;a+b@example.org"),
        ("ORCPT=utf-8;\\x{FC}x@example.org NOTIFY=DELAY", "DELAY", "utf-8;üx@example.org"),
    ],
)
def test_rcpt(rest, notify, orcpt):
    assert read_rcpt(rest) == (notify, orcpt)


@pytest.mark.parametrize(
    "rest",
    [
        "NOTIFY=NEVER,SUCCESS",
        "NOTIFY=SUCCESS,SUCCESS",
        "NOTIFY",
        "NOTIFY=SOMETIMES",
        "ORCPT=a@example.org",
        "ORCPT=rfc822;",
        "ORCPT=rfc822;a+0Ab@x",
        "ORCPT=utf-8;\\x{110000}",
        "ORCPT=utf-8;\\x{0A}",
        "ORCPT=" + "x" * 501,
        "SIZE=1",
    ],
)
def test_rcpt_refused(rest):
    with pytest.raises(Refusal):
        read_rcpt(rest)


@given(st.text())
def test_junk_is_refused_or_read(text):
    for read in (read_rcpt, lambda rest: read_mail(rest, Envelope(), 1000)):
        try:
            read(text)
        except (Refusal, ValueError):
            continue


def test_requiretls_is_known_on_encrypted_sessions_alone() -> None:
    envelope = Envelope()
    read_mail("REQUIRETLS", envelope, 1000, True)
    assert envelope.tls is TlsWish.REQUIRED
    with pytest.raises(Refusal) as caught:
        read_mail("REQUIRETLS=1", Envelope(), 1000, True)
    assert caught.value.pair == replies.BAD_PARAMETER
    with pytest.raises(Refusal) as caught:
        read_mail("REQUIRETLS", Envelope(), 1000)
    assert caught.value.pair == replies.UNKNOWN_PARAMETER
