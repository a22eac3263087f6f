import pytest

from relay.ingress.smtp import InheritedCommands


class Commands(InheritedCommands):
    """Keeps the replies."""

    def __init__(self):
        super().__init__()
        self.replies = []

    def _reply(self, answer):
        self.replies.append(answer)


async def test_commands_of_aiosmtpd_run_to_their_end():
    commands = Commands()
    commands._noop("")
    commands._expn("list")
    commands._help("")
    commands._help("MAIL")
    assert [enhanced for _, enhanced in commands.replies[:2]] == [
        b"250 2.0.0 OK\r\n",
        b"502 5.0.0 EXPN not implemented\r\n",
    ]
    assert commands.replies[3][0] == b"250 Syntax: MAIL FROM: <address> [SP <mail-parameters>]\r\n"
    assert commands.replies[2][0].startswith(b"250 Supported commands: AUTH DATA EHLO HELO HELP MAIL")


async def test_a_command_that_would_wait_is_a_bug():
    async def forever(commands, argument):
        import asyncio

        await asyncio.get_running_loop().create_future()

    with pytest.raises(RuntimeError, match="waits for something"):
        Commands()._inherited(forever, "")
