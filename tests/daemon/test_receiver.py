"""The demonstration's mail server takes what it gets."""

import asyncio
import smtplib
from contextlib import AsyncExitStack

import pytest

from relay.base.errors import ConfigError
from relay.daemon.worker.receiver import HOST, Receiver


async def test_it_takes_everything() -> None:
    async with AsyncExitStack() as stack:
        receiver = Receiver(0)
        await receiver.start(stack)

        def send() -> None:
            with smtplib.SMTP(HOST, receiver.port, timeout=30) as client:
                client.sendmail("", ["anyone@anywhere.example"], "Subject: x\n\nhi\n")

        await asyncio.to_thread(send)
        got = receiver.received.get_nowait()
        assert (got.envelope.sender, got.envelope.recipients[0].address) == ("", "anyone@anywhere.example")
        assert got.content == b"Subject: x\r\n\r\nhi\r\n"
        assert receiver.authenticate("a", "b") is None
        with pytest.raises(ConfigError, match="does a demo run already"):
            await Receiver(receiver.port).start(stack)
