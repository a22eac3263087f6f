#!/usr/bin/env python3
"""Python sends through the relay: smtplib, and nothing that is not in the standard library.

    SMTP_HOST=mail.example.com SMTP_USER=... SMTP_PASSWORD=... send.py SENDER SUBJECT RECIPIENT...

SMTP_PORT is 587 (STARTTLS), or 465 with SMTP_TLS=wrapper. If the relay's certificate signs itself, as
`relay init` makes it, SSL_CERT_FILE names a copy of its tls.crt. Exit status: 0 sent, 75 try again later,
69 do not try again before something has been mended.
"""

import os
import smtplib
import ssl
import sys
from collections.abc import Sequence
from email.message import EmailMessage


def connect() -> smtplib.SMTP:
    """A session in TLS and logged in; keep it for the messages that come next."""
    host, port = os.environ["SMTP_HOST"], int(os.environ.get("SMTP_PORT", "587"))
    context = ssl.create_default_context()  # checks the certificate, and the name in it
    if os.environ.get("SMTP_TLS") == "wrapper":
        client: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=60, context=context)
    else:
        client = smtplib.SMTP(host, port, timeout=60)
        client.starttls(context=context)  # raises where TLS is not offered: no password without it
    client.login(os.environ["SMTP_USER"], os.environ["SMTP_PASSWORD"])
    return client


def compose(sender: str, subject: str, recipients: Sequence[str]) -> EmailMessage:
    """A text with an attachment. Date and Message-ID are the relay's."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, ", ".join(recipients), subject
    message.set_content("Grüße aus Python.\n")
    message.add_attachment("no,name\n1,Jörg\n", subtype="csv", filename="list.csv")
    return message


def main() -> int:
    """Send one message."""
    sender, subject, *recipients = sys.argv[1:]
    try:
        with connect() as client:
            refused = client.send_message(compose(sender, subject, recipients), sender, recipients)
    except smtplib.SMTPRecipientsRefused as error:  # all of them
        codes = {code for code, _ in error.recipients.values()}
        print("failed", error.recipients, file=sys.stderr)
        return 69 if min(codes) >= 500 else 75
    except smtplib.SMTPResponseException as error:  # to AUTH, MAIL or the content
        print("failed", error.smtp_code, error.smtp_error, file=sys.stderr)
        return 69 if error.smtp_code >= 500 else 75
    except (OSError, smtplib.SMTPException) as error:  # no connection, a certificate not to be trusted
        print("failed", error, file=sys.stderr)
        return 75
    for address, (code, text) in refused.items():  # the others have it; 4xx: send to these again later
        print("refused", address, code, text.decode(errors="replace"))
    print("sent")
    return 0


if __name__ == "__main__":
    sys.exit(main())
