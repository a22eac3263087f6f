"""Ports and receivers' servers, as tables of what they said."""

from dataclasses import replace

import pytest

from relay.admin.finding import Level
from relay.admin.host_facts import CertificateSeen, Outbound, PortSeen
from relay.admin.judge_ports import judge_outbound, judge_port

NOW = 1_800_000_000.0
GOOD = PortSeen(
    "0.0.0.0:587", "starttls", "required", "submission", "220 relay ESMTP", frozenset({"STARTTLS", "SIZE"}),
    frozenset({"AUTH", "SIZE"}), "TLSv1.3", NOW,
)  # fmt: skip
NONE = frozenset[str]()


@pytest.mark.parametrize(
    ("port", "level", "said"),
    [
        (GOOD, Level.OK, "0.0.0.0:587 answers, TLSv1.3, AUTH"),
        (replace(GOOD, tls="wrapper", before=frozenset({"AUTH"})), Level.OK, "TLSv1.3"),
        (replace(GOOD, tls="none", auth="none", before=NONE, after=NONE, tls_version=""), Level.OK, "no TLS"),
        (replace(GOOD, role="inbound", before=NONE, after=NONE, tls_version=""), Level.OK, "no TLS"),
        (replace(GOOD, is_for_proxies=True, greeting=""), Level.UNKNOWN, "proxies only"),
        (replace(GOOD, fault="Connection refused"), Level.PROBLEM, "0.0.0.0:587: Connection refused"),
        (replace(GOOD, greeting="554 Access denied", is_trusting=False), Level.OK, "not in its trusted"),
        (replace(GOOD, greeting="554 Access denied"), Level.PROBLEM, "greets with '554 Access denied'"),
        (replace(GOOD, greeting="421 Too many"), Level.PROBLEM, "greets with '421"),
        (replace(GOOD, before=frozenset({"STARTTLS", "AUTH"})), Level.PROBLEM, "offers AUTH before TLS"),
        (replace(GOOD, before=NONE), Level.PROBLEM, "offers no STARTTLS"),
        (replace(GOOD, after=NONE), Level.PROBLEM, "no AUTH in TLS"),
    ],
)  # fmt: skip
def test_one_port(port: PortSeen, level: Level, said: str) -> None:
    (found,) = judge_port(port)
    assert found.level is level
    assert found.about == "port 587"
    assert said in found.seen
    assert bool(found.publish) == (level is not Level.OK)


def test_a_certificate_that_was_renewed_and_not_taken_up() -> None:
    file = CertificateSeen("[tls] certificate", "/t.crt", ends_at=NOW + 90 * 86400)
    found = list(judge_port(GOOD, file))
    assert [one.level for one in found] == [Level.WARNING, Level.OK]
    assert found[0].publish == "relay reload"
    for ends_at in (NOW, 0.0):  # 0: the file could not be read
        assert [one.level for one in judge_port(GOOD, replace(file, ends_at=ends_at))] == [Level.OK]


@pytest.mark.parametrize(
    ("seen", "level", "said"),
    [
        (Outbound("mx.example:25", "220 hello", True, 0.25), Level.OK, "answers in 0.25 s, with STARTTLS"),
        (Outbound("mx.example:25", "220 hello", False, 30.0), Level.OK, "in 30 s, without STARTTLS"),
        (Outbound("mx.example:25", fault="no answer in time"), Level.PROBLEM, "cannot be reached"),
        (Outbound("mx.example:25", "554 go away"), Level.WARNING, "greets with '554 go away'"),
    ],
)
def test_a_receiver(seen: Outbound, level: Level, said: str) -> None:
    found = judge_outbound(seen)
    assert found.level is level
    assert said in found.seen
    assert (level is not Level.PROBLEM) or "[[route]]" in found.publish
