"""The words of clamd."""

import pytest

from relay.policy.clamd import NoAnswer, command, read_answer


def test_content_is_one_chunk_and_an_end() -> None:
    content = b"x" * 70000
    assert b"".join(command(content)) == b"zINSTREAM\0" + b"\x00\x01\x11\x70" + content + b"\0\0\0\0"
    assert command(content)[1] is content  # not copied
    assert b"".join(command(b"")) == b"zINSTREAM\0\0\0\0\0"


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (b"stream: OK", ""),
        (b"stream: OK\n", ""),
        (b"stream: Eicar-Test-Signature FOUND", "Eicar-Test-Signature"),
        (b"stream: Win.Test.EICAR_HDB-1 FOUND\n", "Win.Test.EICAR_HDB-1"),
        (b"stream: A FOUND B FOUND", "A FOUND B"),
    ],
)
def test_answers(line: bytes, found: str) -> None:
    assert read_answer(line) == found


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"", "clamd closed the connection without an answer"),
        (b"INSTREAM size limit exceeded. ERROR", "raise StreamMaxLength in clamd.conf"),
        (b"stream: Can't allocate memory ERROR", 'clamd said "stream: Can\'t allocate memory ERROR"'),
        (b"UNKNOWN COMMAND", "clamd said 'UNKNOWN COMMAND'"),
        (b"stream: OK FOUNDATION", "clamd said"),
        (b"stream:  FOUND", "clamd said"),
        (b"\xff\xfe", "clamd said"),
        (b"HTTP/1.1 400 Bad Request" + b"x" * 4000, "clamd said"),
    ],
)
def test_what_is_no_answer(line: bytes, why: str) -> None:
    with pytest.raises(NoAnswer) as caught:
        read_answer(line)
    assert why in str(caught.value)
    assert len(str(caught.value)) < 300
