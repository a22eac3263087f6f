"""File names, types and boundaries, as mail programs write and read them."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.codec.mime_fields import Description, has_name


def names(text: str | bytes) -> tuple[str, ...]:
    head = text if isinstance(text, bytes) else text.encode()
    return Description.of(head.replace(b"\n", b"\r\n") + b"\r\n").names


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Content-Type: text/plain", ()),
        ('Content-Type: application/x; name="a.exe"', ("a.exe",)),
        ("content-disposition:attachment;filename=a.exe", ("a.exe",)),
        ("CONTENT-DISPOSITION: attachment ;\n\tFILENAME = a.exe ; size=3", ("a.exe",)),
        ('Content-Disposition: attachment; filename="a\\"b.exe"', ('a"b.exe',)),
        ('Content-Disposition: attachment; filename="a;b.exe"', ("a;b.exe",)),
        ('Content-Disposition: attachment; filename="a b.exe', ("a b.exe",)),
        ("Content-Disposition: attachment; filename=a b.exe", ("a b.exe",)),
        ("Content-Disposition: attachment; filename*=utf-8''%e2%82%ac%2eexe", ("€.exe",)),
        ("Content-Disposition: attachment; filename*=iso-8859-1'en'%A3.exe", ("£.exe",)),
        ("Content-Disposition: attachment; filename*0=a.e; filename*1=xe", ("a.exe",)),
        ("Content-Disposition: attachment;\n filename*1=xe;\n filename*0=a.e", ("a.exe",)),
        (
            "Content-Disposition: attachment; filename*0*=utf-8''%61; filename*1*=%2Eex; filename*2=e",
            ("a.exe",),
        ),
        ("Content-Type: x/y; name*0=a; name*1=.exe", ("a.exe",)),
        ('Content-Type: x/y; name*0="=?utf-8?B?YS5l"; name*1="eGU=?="', ("a.exe",)),
        ("Content-Type: x/y; name==?utf-8?B?YS5leGU=?=", ("a.exe",)),
        ("Content-Disposition: filename=a.exe", ("a.exe",)),
        ("Content-Disposition: filename", ()),
        ('Content-Disposition: attachment; filename="=?utf-8?B?YS5leGU=?="', ("a.exe",)),
        ('Content-Disposition: attachment; filename="=?utf-8?Q?a=2Eex?=\n =?utf-8?Q?e?="', ("a.exe",)),
        ('Content-Type: x/y; name="=?iso-8859-1?q?=A3_a?=.exe"', ("£ a.exe",)),
        ('Content-Type: x/y; name="=?utf-8?B?!?=.exe"', (".exe",)),
        (
            'Content-Type: x/y; name="a.txt"\nContent-Disposition: attachment; filename="b.exe"',
            ("a.txt", "b.exe"),
        ),
        ('Content-Type: x/y; name="a.txt"; name="b.exe"', ("a.txt", "b.exe")),
        ('Content-Type: x/y; name="a.txt"\nContent-Type: x/y; name="b.exe"', ("a.txt", "b.exe")),
        ("Content-Disposition: attachment; filename=a.txt; filename*=utf-8''b.exe", ("a.txt", "b.exe")),
        ("Content-Disposition: attachment; filename*=punycode''a.exe", ("a.exe",)),
        ("Content-Disposition: attachment; filename*=zlib''a.exe", ("a.exe",)),
        ("Content-Disposition: attachment; filename*=no-such''a.exe", ("a.exe",)),
        ('X-Content-Type: x/y; name="a.exe"', ()),
        ('Content-Description: name="a.exe"', ()),
    ],
)
def test_file_names(text: str, found: tuple[str, ...]) -> None:
    assert names(text) == found


def test_raw_utf8_and_what_is_not() -> None:
    assert names("Content-Type: x/y; name=Übung.exe") == ("Übung.exe",)
    (name,) = names(b"Content-Type: x/y; name=\xdcbung.exe")
    assert name.endswith("bung.exe")


def test_type_boundary_and_encoding() -> None:
    found = Description.of(
        b'Content-Type: Multipart/MIXED; charset=x; Boundary="a b:c "\r\n'
        b"Content-Transfer-Encoding: BASE64 \r\n"
    )
    assert (found.media_type, found.boundary, found.encoding) == (b"multipart/mixed", b"a b:c", b"base64")
    assert Description.of(b"").media_type == b"text/plain"
    assert Description.of(b"Content-Type: nonsense; name=x\r\n").media_type == b"text/plain"
    assert not Description.of(b"Content-Disposition: inline\r\n").has_type
    assert Description.of(b"Content-Type: text/html\r\nContent-Type: x/y\r\n").media_type == b"text/html"


def test_equal_headers_are_read_once_and_long_ones_are_not_kept() -> None:
    short, long = b"Content-Type: text/html\r\n", b"Content-Type: text/html" + b" " * 200 + b"\r\n"
    assert Description.of(short) is Description.of(bytes(bytearray(short)))
    assert Description.of(long) is not Description.of(long)


def test_the_first_look() -> None:
    assert has_name(b"x/y; NAME=a")
    assert not has_name(b"text/plain; charset=utf-8")


@given(st.binary(max_size=300) | st.text(alphabet="name*=;\"\\'%?=_ab012 \r\n\t").map(lambda t: t.encode()))
def test_it_reads_everything(text: bytes) -> None:
    for head in (b"Content-Type: " + text, b"Content-Disposition: x; filename" + text):
        assert all(isinstance(name, str) for name in Description.read(head).names)


@given(st.text(min_size=1).filter(str.strip))
def test_what_was_encoded_is_found(name: str) -> None:
    from urllib.parse import quote

    found = names(
        f"Content-Disposition: attachment; filename*=utf-8''{quote(name.encode('utf-8', 'replace'), safe='')}"
    )
    assert found == (name.encode("utf-8", "replace").decode(),)


@pytest.mark.parametrize(
    "piece",
    [
        b';a="',
        b'"',
        b"\\",
        b";",
        b" ",
        b";name=",
        b';a="\\"',
        b"=?",
        b"=?a?q?",
        b";name*0=a",
        b";name*1*=%",
        b"=?u?b?a?= ",
        b"\r\n ",
        b";filename*=punycode''a",
    ],
)
def test_hostile_input_costs_time_in_its_length_only(piece: bytes) -> None:
    began = time.process_time()
    Description.read(b'Content-Disposition: x; filename="' + piece * (64 * 1024 // len(piece)))
    Description.read(b"Content-Disposition: x; filename=" + piece * (64 * 1024 // len(piece)))
    assert time.process_time() - began < 1.0
