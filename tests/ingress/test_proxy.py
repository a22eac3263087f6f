import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.ingress.proxy import MAX_HEADER_BYTES, SIGNATURE, Proxied, parse


def v2(command: int, family: int, body: bytes) -> bytes:
    return SIGNATURE + struct.pack("!BBH", command, family, len(body)) + body


V4 = bytes([192, 0, 2, 1, 198, 51, 100, 1]) + struct.pack("!HH", 40000, 25)
V6 = bytes.fromhex("20010db8" + "00" * 11 + "01") * 2 + struct.pack("!HH", 40000, 25)


@pytest.mark.parametrize(
    ("header", "address", "port"),
    [
        (b"PROXY TCP4 192.0.2.1 198.51.100.1 40000 25\r\n", "192.0.2.1", 40000),
        (b"PROXY TCP6 2001:db8::1 2001:db8::2 40000 25\r\n", "2001:db8::1", 40000),
        (b"PROXY UNKNOWN\r\n", "", 0),
        (b"PROXY UNKNOWN some things\r\n", "", 0),
        (v2(0x21, 0x11, V4), "192.0.2.1", 40000),
        (v2(0x21, 0x11, V4 + b"\x04\x00\x01x"), "192.0.2.1", 40000),
        (v2(0x21, 0x21, V6), "2001:db8::1", 40000),
        (v2(0x20, 0x00, b""), "", 0),
        (v2(0x21, 0x00, b""), "", 0),
    ],
)
def test_headers(header, address, port):
    expected = Proxied(len(header), address, port)
    assert parse(header + b"EHLO x\r\n") == expected
    for end in range(len(header)):
        assert parse(header[:end]) is None


@pytest.mark.parametrize(
    "start",
    [
        b"EHLO x\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.1 40000\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.1 40000 25 26\r\n",
        b"PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.1 70000 25\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.1 -1 25\r\n",
        b"PROXY TCP4 192.0.2.1\n198.51.100.1 1 25\r\n",
        b"PROXY UDP4 192.0.2.1 198.51.100.1 1 25\r\n",
        b"PROXY TCP4 " + b"1" * 100,
        v2(0x11, 0x11, V4),
        v2(0x22, 0x11, V4),
        v2(0x21, 0x11, V4[:8]),
        v2(0x21, 0x31, b"\0" * 216),
        v2(0x21, 0x11, b"x" * MAX_HEADER_BYTES),
    ],
)
def test_refused(start):
    with pytest.raises(ValueError, match=r".+"):
        parse(start)


@given(st.one_of(st.binary(), st.binary().map(SIGNATURE.__add__), st.binary().map(b"PROXY ".__add__)))
def test_junk_is_refused_or_incomplete(start):
    try:
        header = parse(start)
    except ValueError:
        return
    assert header is None or header.size_bytes <= len(start)
