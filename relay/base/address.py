"""The path of MAIL FROM and RCPT TO, read (RFC 5321 4.1.2, RFC 6531 3.3), and the domain of an address.

Contract: ``parse_path`` returns the address as the client wrote it, without brackets and source route, and
the text of the parameters behind it. It accepts what RFC 5321 allows, and two things seen in practice: an
underscore in a domain, and an address without the brackets. It takes UTF-8 addresses; whether SMTPUTF8 was
given is known only from the parameters, hence asked by the caller (``address.isascii()``).

Cost on the hot path: less than 1 microsecond for ``user@host``; quoted local parts, literals, routes,
non-ASCII and long addresses take a second, slower look.

Deliberately not here: comments, folding and other syntax of header fields (``relay.codec.headers``); a limit
of 64 octets on the local part, since return paths that encode a recipient are longer and every receiver
decides for itself; whether the domain exists.
"""

from __future__ import annotations

import ipaddress
import re

MAX_ADDRESS_OCTETS = 254  # RFC 5321 4.5.3.1.3: a path has 256 with its brackets
_MAX_DOMAIN_OCTETS = 253  # RFC 1035 2.3.4, in text form
_MAX_LABEL_OCTETS = 63

_ASCII_ATOM = r"[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]+"
_FAST = re.compile(
    rf" ?<({_ASCII_ATOM}(?:\.{_ASCII_ATOM})*@(?:[a-zA-Z0-9]+(?:--?|\.))*[a-zA-Z0-9]+)>(?: (.*))?"
)
_FAST_OCTETS = 63  # so short that neither a label nor the path can be too long
# by what is not in them: a class that names all of Unicode takes milliseconds to compile, in every process
_ATOM = r'[^\x00-\x20"(),.:;<>@\[\\\]\x7f]+'
_LOCAL = re.compile(rf'(?:{_ATOM}(?:\.{_ATOM})*|"(?:[^\x00-\x1f"\\\x7f]|\\[\x20-\x7e])*")')
_LABEL = r"[^\x00-/:-@\[-^`{-\x7f](?:[^\x00-,./:-@\[-^`{-\x7f]*[^\x00-/:-@\[-`{-\x7f])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_ROUTE = re.compile(rf"@{_LABEL}(?:\.{_LABEL})*(?:,@{_LABEL}(?:\.{_LABEL})*)*:")
_LITERAL = re.compile(r"\[[0-9a-zA-Z:.]+\]")


def parse_path(argument: str) -> tuple[str, str]:
    """Split what follows ``MAIL FROM:`` or ``RCPT TO:`` into address and parameters.

    The null path ``<>`` gives the address ``""``; only the caller knows whether it may stand there.
    Raises ValueError, with a text that a client may see, if the address is not one.
    """
    match = _FAST.fullmatch(argument)
    if match is not None and match.end(1) - match.start(1) <= _FAST_OCTETS:
        return match.group(1), match.group(2) or ""
    path = argument.strip()
    if path.startswith("<"):
        address, rest = _within_brackets(path)
    else:
        address, _, rest = path.partition(" ")
        if not address:
            raise ValueError("no address")
    if address:
        check_address(address)
    return address, rest.strip()


def _within_brackets(path: str) -> tuple[str, str]:
    """Address and the rest of ``<...> rest``, where a quoted local part may hold brackets itself."""
    if path.startswith("<>"):
        address, end = "", 1
    else:
        start = 1
        route = _ROUTE.match(path, start)
        if route is not None:
            start = route.end()  # RFC 5321 appendix C: accepted and ignored
        local = _LOCAL.match(path, start)
        end = path.find(">", start if local is None else local.end())
        if end < 0:
            raise ValueError("missing >")
        address = path[start:end]
        if not address:
            raise ValueError("no address")
    rest = path[end + 1 :]
    if rest and not rest[0].isspace():
        raise ValueError("text directly behind >")
    return address, rest


def check_address(address: str) -> None:
    """Raise ValueError, with a text that a client may see, unless ``address`` is ``local@domain``."""
    try:
        octets = len(address.encode())
    except UnicodeEncodeError:
        raise ValueError("not UTF-8") from None
    if octets > MAX_ADDRESS_OCTETS:
        raise ValueError(f"longer than {MAX_ADDRESS_OCTETS} octets")
    if any(c < " " or "\x7f" <= c <= "\x9f" for c in address):
        raise ValueError("control character")
    local, at, domain = address.rpartition("@")
    if not at:
        raise ValueError("no @")
    if _LOCAL.fullmatch(local) is None:
        raise ValueError("bad local part")
    if domain.startswith("["):
        _check_literal(domain)
    else:
        _check_domain(domain)


def _check_literal(literal: str) -> None:
    text = literal[1:-1] if _LITERAL.fullmatch(literal) else ""
    try:
        if text[:5].upper() == "IPV6:":
            ipaddress.IPv6Address(text[5:])
            groups = sum(map(bool, text[5:].split(":"))) + ("." in text)
            if "::" in text and groups > 6:
                raise ValueError  # RFC 5321 4.1.3: "::" stands for two groups at least
        else:
            ipaddress.IPv4Address(text)
    except ValueError:
        raise ValueError("bad address literal") from None


def _check_domain(domain: str) -> None:
    if _DOMAIN.fullmatch(domain) is None:
        raise ValueError("bad domain")
    ascii_domain = _a_labels(domain)
    if len(ascii_domain) > _MAX_DOMAIN_OCTETS:
        raise ValueError("domain too long")
    if max(map(len, ascii_domain.split("."))) > _MAX_LABEL_OCTETS:
        raise ValueError("label too long in domain")


def _a_labels(domain: str) -> str:
    """Lower case, A-labels (RFC 5890)."""
    if domain.isascii():
        return domain.lower()
    import idna  # only the few internationalised domains pay for it

    try:
        return idna.encode(domain, uts46=True).decode("ascii").lower()
    except idna.IDNAError:
        raise ValueError("bad internationalised domain") from None


def domain_of(address: str) -> str:
    """The domain in lower case and A-labels, an address literal in its brackets, or ``""`` without one.

    Raises ValueError for a non-ASCII domain that is no IDNA domain.
    """
    return _a_labels(address[address.rfind("@") + 1 :]) if "@" in address else ""


def as_ascii(address: str) -> str:
    """The address with its domain in A-labels where that makes all of it ASCII, else as it is: a local part
    beyond ASCII has no other form (RFC 6531 3.2)."""
    if address.isascii():
        return address
    local, at, domain = address.rpartition("@")
    return f"{local}{at}{_a_labels(domain)}" if local.isascii() else address
