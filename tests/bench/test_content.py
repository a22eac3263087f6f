import pytest

from bench.content import make_template, read_marker


@pytest.mark.parametrize("size", [1024, 4096, 102400])
def test_a_message_has_the_size_asked_for_and_reads_as_mail(size):
    content = make_template(size).fill(3, 17, 123456789)
    assert abs(len(content) - size) < 64
    assert content.endswith(b"\r\n.\r\n")
    lines = content[:-5].split(b"\r\n")
    assert b"\n" not in b"".join(lines)
    assert max(map(len, lines)) < 80
    assert not any(line.startswith(b".") for line in lines)


def test_the_marker_is_found_below_headers_that_a_server_put_on_top():
    content = b"Received: from a\r\n\tby b\r\n" * 20 + make_template(4096).fill(3, 17, 123456789)
    assert read_marker(content) == (3, 17, 123456789)


@pytest.mark.parametrize("content", [b"Subject: none\r\n\r\n", b"A: b\r\nX-Bench: not a number\r\n"])
def test_no_marker(content):
    assert read_marker(content) is None
