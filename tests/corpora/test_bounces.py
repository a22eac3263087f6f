"""The bars on the corpus of bounces (``make corpus`` prints the figures)."""

import pytest

from relay.base.feedback import ReportKind
from relay.codec.report import read
from tests.corpora import bounces
from tests.corpora.bounces import BARS, FOLDER, Figures, is_same_status, mails, measure, never_hard, variants

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the corpus is not here")


@pytest.fixture(scope="module")
def found() -> dict[str, Figures]:
    return measure()


@pytest.mark.parametrize(("family", "figure", "least"), BARS)
def test_bars(found: dict[str, Figures], family: str, figure: str, least: float) -> None:
    assert found[family].percent(figure) >= least, found[family].wrong


def test_every_mail_is_in_a_family(found: dict[str, Figures]) -> None:
    assert {name: figures.mails for name, figures in found.items()} == {
        "RFC 3464": 71,
        "free text": 35,
        "complaints": 8,
        "automatic replies": 3,
        "not expected": 9,
    }
    assert set(bounces.addresses()) == set(bounces.expected()) == set(mails())


def test_hardly_any_is_wrongly_hard(found: dict[str, Figures]) -> None:
    assert found["RFC 3464"].percent("not wrongly hard") >= 97.0
    assert found["free text"].percent("not wrongly hard") == 100.0


def test_mails_of_which_nothing_is_expected_name_their_recipients(found: dict[str, Figures]) -> None:
    assert found["not expected"].percent("recipients") == 100.0


def test_complaints_and_automatic_replies_take_nobody_out_of_service() -> None:
    assert never_hard() == []


def test_line_ends_make_no_difference() -> None:
    for name, content in mails().items():
        assert len({read(one) for one in variants(content)}) == 1, name


def test_what_is_returned_names_the_original() -> None:
    """Most mails of the corpus return a header; where it has a Message-ID, it is found."""
    reports = [read(content) for content in mails().values()]
    bounced = [one for one in reports if one.kind is ReportKind.BOUNCE]
    assert sum(bool(one.message_id) for one in bounced) >= 0.85 * len(bounced)
    assert all(one.message_id.startswith("<") for one in bounced if one.message_id)


def test_the_bars_are_measured_and_can_be_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address that is wrong, one too many, a wrong status: each lowers its figure."""
    before = measure()
    name = "lhost-postfix-33"
    monkeypatch.setattr(bounces, "addresses", lambda: {**_real_addresses, name: ["else@example.org"]})
    after = measure()
    for figure in ("recipients", "both", "hard"):
        assert after["RFC 3464"].percent(figure) < before["RFC 3464"].percent(figure)
    assert bounces.misses({**before, "free text": Figures(of=1)}) == [
        "free text: recipients 0.0 % is below 75.0 %"
    ]
    assert is_same_status("5.1.1", "5.1.1")
    assert not is_same_status("5.1.0", "5.1.1")
    assert is_same_status("", "5.0.912")
    assert not is_same_status("5.1.1", "5.0.912")
    assert not is_same_status("", "5.7.606")


_real_addresses = bounces.addresses() if FOLDER.is_dir() else {}
