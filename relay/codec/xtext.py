"""Text within the parameters of MAIL and RCPT: xtext (RFC 3461 4), and the forms of RFC 6533 3 for addresses
beyond ASCII.

Contract, pure: what is encoded here has neither space nor control character, "+" or "=", so it can neither
end a parameter nor begin one. ``decode_xtext`` and ``decode_address`` (of ORCPT) raise ValueError for what is
not such text, or hides a control character; what they return, encoded again, means the same.

Cost: about a microsecond; only where a client gave such a parameter.
"""

from __future__ import annotations

import re

_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*")
_UTF8_XTEXT = re.compile(r"(?:[!-*,-<>-~\x80-\U0010ffff]|\+[0-9A-F]{2}|\\x\{[0-9A-F]{2,6}\})*")
_RFC822_UTF8 = re.compile(r"(?:[!-*,-<>-~\x80-\U0010ffff]|\+[0-9A-F]{2})*")
_BYTE = re.compile(rb"\+([0-9A-F]{2})")
_HEX = re.compile(r"\+([0-9A-F]{2})")
_CODED = re.compile(r"\\x\{([0-9A-F]{2,6})\}|\+([0-9A-F]{2})")
_ADDRESS_TYPE = re.compile(r"[A-Za-z0-9-]{1,64}")


def xtext(text: str) -> str:
    """RFC 3461 4: printable ASCII but "+" and "=" as it is, the rest as "+" and two hexadecimal digits."""
    return "".join(
        chr(byte) if 0x21 <= byte <= 0x7E and byte not in b"+=" else f"+{byte:02X}" for byte in text.encode()
    )


def address_text(orcpt: str, is_utf8: bool) -> str:
    """The value of ORCPT, ``type;address``, for a peer that offers SMTPUTF8 (``is_utf8``) or does not."""
    kind, _, address = orcpt.partition(";")
    if kind.lower() != "utf-8":
        return f"{kind};{xtext(address)}"
    return f"utf-8;{_escaped(address, is_utf8)}"


def in_seven_bits(orcpt: str) -> str:
    """``type;address`` for a report that has only ASCII (RFC 6533 3: utf-8-addr-xtext)."""
    kind, _, address = orcpt.partition(";")
    return f"utf-8;{_escaped(address, False)}" if kind.lower() == "utf-8" else orcpt


def _escaped(text: str, is_utf8: bool) -> str:
    """What is not plain text becomes ``\\x{HEX}``: utf-8-addr-unitext, or utf-8-addr-xtext."""
    return "".join(
        [
            c if ("!" <= c <= "~" and c not in "+=\\") or (is_utf8 and c > "\x7f") else f"\\x{{{ord(c):02X}}}"
            for c in text
        ]
    )


def decode_xtext(text: str) -> str:
    """xtext (RFC 3461 4) as text. Raises ValueError if it is none, or hides control characters."""
    if not _XTEXT.fullmatch(text):
        raise ValueError("not xtext")
    decoded = _HEX.sub(lambda match: chr(int(match[1], 16)), text) if "+" in text else text
    if not (decoded.isascii() and decoded.isprintable()):
        raise ValueError("xtext hides a control or 8-bit character")
    return decoded


def decode_address(value: str) -> str:
    """``rfc822;xtext`` or ``utf-8;...`` (RFC 3461 4.2, RFC 6533 3) decoded. Raises ValueError.

    Postfix (3.7) gives addresses beyond ASCII the type rfc822, and their UTF-8 as xtext; they become utf-8.
    """
    kind, separator, text = value.partition(";")
    if not separator or not text or not _ADDRESS_TYPE.fullmatch(kind):
        raise ValueError("ORCPT without an address type")
    is_plain = "+" not in text and text.isascii()
    if not is_plain and kind.lower() == "rfc822" and _RFC822_UTF8.fullmatch(text):
        octets = _BYTE.sub(lambda match: bytes((int(match[1], 16),)), text.encode())
        if not octets.isascii():
            return f"utf-8;{_printable(octets.decode())}"
    if kind.lower() != "utf-8":
        return f"{kind};{decode_xtext(text)}"
    if not _UTF8_XTEXT.fullmatch(text):
        raise ValueError("not utf-8-addr-xtext")
    decoded = _CODED.sub(lambda match: chr(int(match[1] or match[2], 16)), text)  # over U+10FFFF: ValueError
    return f"{kind};{_printable(decoded)}"


def _printable(decoded: str) -> str:
    if not decoded.isprintable():
        raise ValueError("ORCPT hides a control character")
    return decoded
