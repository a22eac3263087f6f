#!/usr/bin/env python3
"""Python with asyncio sends through the relay: aiosmtplib. Called as send.py is, with the same exit statuses.

use_tls is TLS from the first byte, start_tls is STARTTLS, and True of either is never without. Leave them
away and aiosmtplib takes what it is offered, also nothing.
"""

import asyncio
import os
import sys
from email.message import EmailMessage

import aiosmtplib


async def send(sender: str, subject: str, recipients: list[str]) -> int:
    """Send one message."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, ", ".join(recipients), subject
    message.set_content("Grüße aus asyncio.\n")
    message.add_attachment("no,name\n1,Jörg\n", subtype="csv", filename="list.csv")
    is_wrapper = os.environ.get("SMTP_TLS") == "wrapper"
    client = aiosmtplib.SMTP(
        hostname=os.environ["SMTP_HOST"],
        port=int(os.environ.get("SMTP_PORT", "587")),
        username=os.environ["SMTP_USER"],
        password=os.environ["SMTP_PASSWORD"],
        use_tls=is_wrapper,
        start_tls=not is_wrapper,
        timeout=60,
    )
    try:
        async with client:  # keep it for the messages that come next; one at a time
            refused, answer = await client.send_message(message, sender=sender, recipients=recipients)
    except aiosmtplib.SMTPRecipientsRefused as error:  # all of them
        print("failed", *error.recipients, file=sys.stderr)
        return 69 if min(one.code for one in error.recipients) >= 500 else 75
    except aiosmtplib.SMTPResponseException as error:
        print("failed", error.code, error.message, file=sys.stderr)
        return 69 if error.code >= 500 else 75
    except (OSError, aiosmtplib.SMTPException) as error:
        print("failed", error, file=sys.stderr)
        return 75
    for address, (code, text) in refused.items():  # the others have it; 4xx: send to these again later
        print("refused", address, code, text)
    print("sent", answer)
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(send(sys.argv[1], sys.argv[2], sys.argv[3:])))
