"""Content that other servers have stumbled over: the same bytes arrive, and both signatures hold."""

import random
import socket

import pytest

from tests.fakes.prepared import DOMAIN, HOSTNAME, SENDER
from tests.fakes.running import RunningRelay
from tests.scenarios.receiver import Receiver

PIECES = [
    b"\r\n",
    b"\r\n.",
    b"\r\n..",
    b"\r\n.\r\n",
    b".",
    b"..",
    b" ",
    b"\t",
    b"  ",
    b" \r\n",
    b"\r\n ",
    b"a",
]
PIECES += [b"a", b"\xff", b"\xc3\xa9", b"\x0b", b"QUIT\r\n", b"MAIL FROM:<x@evil.example>\r\n", b"X: y\r\n"]


def replies(stream, count: int) -> list[bytes]:
    found: list[bytes] = []
    while len(found) < count:
        line = stream.readline()
        assert line, f"closed after {found}"
        if line[3:4] != b"-":
            found.append(line)
    return found


def as_data(content: bytes) -> list[bytes]:
    stuffed = content.replace(b"\r\n.", b"\r\n..")
    return [b"DATA\r\n", stuffed + (b".\r\n" if stuffed.endswith(b"\r\n") else b"\r\n.\r\n")]


def as_chunks(content: bytes) -> list[bytes]:
    middle = len(content) // 2
    first, last = content[:middle], content[middle:]
    return [b"BDAT %d\r\n%b" % (len(first), first), b"BDAT %d LAST\r\n%b" % (len(last), last)]


@pytest.mark.parametrize("form", [as_data, as_chunks])
def test_the_bytes_that_were_sent(shared_relay: RunningRelay, shared_receiver: Receiver, form) -> None:
    dice = random.Random(form.__name__)
    with socket.create_connection(("127.0.0.1", shared_relay.trusted), 30) as client:
        stream = client.makefile("rb")
        client.sendall(b"EHLO c\r\n")
        replies(stream, 2)
        for number in range(15):
            body = b"".join(dice.choices(PIECES, k=30))
            subject = f"{form.__name__} {number}"
            head = f"From: {SENDER}\r\nSubject: {subject}\r\n\r\n".encode()
            client.sendall(f"MAIL FROM:<{SENDER}>\r\nRCPT TO:<a@receiver.example>\r\n".encode())
            replies(stream, 2)
            for said in form(head + body):
                at = 0
                while at < len(said):  # cut anywhere, also within CRLF "." CRLF
                    size = dice.choice([1, 2, 3, 500])
                    client.sendall(said[at : at + size])
                    at += size
                (reply,) = replies(stream, 1)
                assert reply[:1] in (b"2", b"3"), (reply, body)
            arrived = shared_receiver.wait_for(subject).content
            _, _, came = arrived.partition(b"\r\n\r\n")
            assert came == (body if body.endswith(b"\r\n") else body + b"\r\n")
            assert shared_relay.signatures(arrived) == {DOMAIN: True, HOSTNAME: True}


@pytest.mark.parametrize(
    "end", [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r\n\x00.\r\n", b"\r\r\n.\r\r\n"]
)
def test_what_only_looks_like_the_end_smuggles_nothing(
    shared_relay: RunningRelay, shared_receiver: Receiver, end: bytes
) -> None:
    before = len(shared_receiver.received)
    with socket.create_connection(("127.0.0.1", shared_relay.trusted), 30) as client:
        stream = client.makefile("rb")
        client.sendall(b"EHLO c\r\n")
        replies(stream, 2)
        envelope = f"MAIL FROM:<{SENDER}>\r\nRCPT TO:<a@receiver.example>\r\nDATA\r\n".encode()
        hidden = envelope + f"From: {SENDER}\r\n\r\nsmuggled\r\n".encode()
        client.sendall(envelope + f"From: {SENDER}\r\n\r\nx".encode() + end + hidden + b".\r\n")
        *_, last = replies(stream, 4)
        assert last.startswith(b"554 5.6.0 Message rejected")
        client.sendall(b"QUIT\r\n")
        assert replies(stream, 1)[0].startswith(b"221 ")
    assert len(shared_receiver.received) == before
