"""What a listener is told: one frozen dataclass, read once, shared by all its sessions.

Contract: every bound that a client can run into is a field here, with its unit and its default; nothing in
ingress reads the configuration. ``account_id`` says whose mail it is where there is no AUTH.

It does not open sockets or read certificates.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Literal, TypeAlias

from relay.base.errors import ConfigError

Network: TypeAlias = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class ListenerSettings:
    """How one listener treats its clients. Raises ConfigError where two settings contradict each other."""

    hostname: str  # our name in the greeting and in EHLO
    tls: Literal["starttls", "wrapper", "none"] = "starttls"
    auth: Literal["required", "none"] = "required"
    trusted_networks: tuple[Network, ...] = ()  # with auth="none": who may connect
    account_id: int = 0  # with auth="none": whose mail it is
    proxy_protocol: bool = False  # every connection begins with a PROXY header
    proxy_networks: tuple[Network, ...] = ()  # the proxies that may send one
    max_message_bytes: int = 10_485_760  # content, without dot-stuffing (SES: 10 MiB)
    max_recipients: int = 50  # per message (SES: 50)
    postmaster: str = ""  # who gets mail to <postmaster> alone; "": nobody
    max_line_bytes: int = 2048  # a command line; 512 of RFC 5321 4.5.3.1.4 plus extensions
    max_auth_line_bytes: int = 12288  # RFC 4954 section 4
    max_bad_commands: int = 20  # per session, then 421
    max_auth_failures: int = 3  # per session, then 421
    max_messages: int = 100_000  # per session, then 421: connections spread over workers again
    max_session_s: float = 86_400.0  # then 421, between messages
    command_timeout_s: float = 300.0  # RFC 5321 4.5.3.2.7
    data_timeout_s: float = 180.0  # per block; RFC 5321 4.5.3.2.5
    handshake_timeout_s: float = 30.0  # TLS handshake, PROXY header
    role: Literal["submission", "inbound"] = "submission"  # inbound: from any server, for our own addresses

    def __post_init__(self) -> None:
        if self.role == "inbound":
            if self.auth != "none" or self.trusted_networks or self.account_id or self.tls == "wrapper":
                raise ConfigError(
                    'listener: role = "inbound" is for any server: no AUTH, no trusted_networks, no account, '
                    'and tls = "starttls" or "none"'
                )
        elif self.auth == "required" and self.tls == "none":
            raise ConfigError('listener: auth = "required" needs tls = "starttls" or "wrapper"')
        elif self.auth == "none" and not self.trusted_networks:
            raise ConfigError('listener: auth = "none" needs trusted_networks')
        if self.proxy_protocol and not self.proxy_networks:
            raise ConfigError("listener: proxy_protocol needs proxy_networks")


def is_within(address: str, networks: tuple[Network, ...]) -> bool:
    """Whether the address lies in one of the networks; an IPv4-mapped IPv6 address counts as IPv4."""
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if ip.version == 6 and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return any(ip in network for network in networks if network.version == ip.version)
