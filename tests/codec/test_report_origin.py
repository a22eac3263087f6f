"""Who wrote a mail that came back: a mail system, an autoresponder, or a person."""

import pytest

from relay.codec.report_origin import is_automatic, is_from_mail_system, sender_of, subject_of
from relay.codec.report_parts import Fields, fields_of

PERSON = "From: Anna <anna@example.org>\n"


def head(text: str) -> Fields:
    return fields_of(text)


@pytest.mark.parametrize(
    "text",
    [
        "Auto-Submitted: auto-replied",
        "Auto-Submitted: auto-generated; owner-email=a@example.org",
        "Auto-Submitted: auto-notified",
        "X-Autoreply: yes",
        "X-Autorespond: Out until Monday",
        "Precedence: auto_reply",
        "X-Apple-Action: VACATION",
        "Subject: Automatic reply: the invoice",
        "Subject: Out of Office: the invoice",
        "Subject: =?utf-8?q?R=C3=A9ponse_automatique?= : facture",
        "Subject: Abwesenheitsnotiz: Rechnung",
        "In-Reply-To: <1@example.org>\nPrecedence: bulk\nSubject: Re: the invoice",
        "In-Reply-To: <1@example.org>\nX-Auto-Response-Suppress: All\nSubject: gone",
    ],
)
def test_programs_that_answer(text: str) -> None:
    assert is_automatic(head(PERSON + text))
    assert not is_from_mail_system(head(PERSON + text))


@pytest.mark.parametrize(
    "text",
    [
        "Subject: Re: the invoice\nIn-Reply-To: <1@example.org>",
        "Auto-Submitted: no\nSubject: Automatic reply: which button is it?",
        "Subject: out of office hours",
        "Subject: Automatic replies are broken",
        "Precedence: bulk\nSubject: our newsletter",
        "X-Auto-Response-Suppress: OOF\nSubject: our newsletter",
        "Precedence: list\nList-Id: <l.example.org>\nIn-Reply-To: <1@example.org>",
        "X-Autoreply: no",
    ],
)
def test_people_and_newsletters(text: str) -> None:
    assert not is_automatic(head(PERSON + text))


@pytest.mark.parametrize(
    "text",
    [
        "From: MAILER-DAEMON@mx.example (Mail Delivery System)\nSubject: anything",
        "From: <>\nX-Failed-Recipients: a@example.org",
        "From: postmaster@mx.example\nSubject: Undeliverable: hello",
        "From: Mail Delivery Subsystem <noreply@mx.example>\nSubject: Returned mail: see transcript",
        "Return-Path: <>\nFrom: system@mx.example\nSubject: Delivery Status Notification (Failure)",
        'From: x@mx.example\nContent-Type: multipart/report;\n report-type="delivery-status"; boundary=b',
        "From: System Administrator <admin@mx.example>\nSubject: Undeliverable: hello",
        "From: Symantec_for_SMTP_Gateways@mx.example\nSubject: Delivery failure notification",
        "Return-Path: <MAILER-DAEMON>\nFrom: imss@mx.example\nSubject: Mail could not be delivered",
        "From: postmaster@mx.example\nSubject: =?utf-8?b?5pyq6YCB6YCB6YCA5L+h?=",
    ],
)
def test_mail_systems(text: str) -> None:
    assert is_from_mail_system(head(text))


@pytest.mark.parametrize(
    "text",
    [
        "From: anna@example.org\nSubject: Undeliverable: hello",
        "From: postmaster@example.org\nSubject: your question",
        "From: postmaster@example.org\nSubject: Re: Undeliverable: hello",
        "From: MAILER-DAEMON@example.org\nSubject: Automatic reply: Undeliverable",
        "Return-Path: <>\nAuto-Submitted: auto-replied\nFrom: a@example.org\nSubject: mail delivery failed?",
        "",
    ],
)
def test_not_mail_systems(text: str) -> None:
    assert not is_from_mail_system(head(text))


def test_subjects_and_senders() -> None:
    assert subject_of(head("Subject: =?utf-8?q?caf=C3=A9?=")) == "café"
    assert subject_of(head("Subject: =?x-none?q?a?=")) == "=?x-none?q?a?="
    assert subject_of(head("Subject: =?unicode_escape?q?=5Cud800?=")) == "?"  # no text that could be stored
    assert subject_of(head("Subject: =?utf-8?b?a?=")) != ""
    assert sender_of(head('From: "a <b>, c" <a@example.org>')) == "a@example.org"
    assert sender_of(head("From: a@example.org (Anna)")) == "a@example.org"
    assert sender_of(head("From: <>")) == ""
