"""The tables of the configuration file that say how mail leaves: when, from where, to whom, how secured.

As ``relay.daemon.settings.sections``, which joins them into the whole file.
"""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from relay.base.address import check_address
from relay.base.route import TlsMode
from relay.daemon.settings.section import Endpoint, OptionalEndpoint, Seconds, Section


class DeliverySection(Section):
    """When and how mail leaves."""

    retry_schedule: list[Seconds] = [60.0, 300.0, 900.0, 1800.0, 3600.0]
    retry_jitter: float = Field(default=0.1, ge=0, le=0.5)
    max_age: Seconds = 14 * 3600.0
    delay_notice: Literal["all", "asked", "never"] = "all"
    delay_notice_after: Seconds = 4 * 3600.0
    resolver: OptionalEndpoint = None
    resolver_timeout: Seconds = 10.0
    dnssec: Literal["auto", "trust", "off"] = "auto"
    connections: int = Field(default=200, ge=1)
    connections_per_site: int = Field(default=20, ge=1)
    messages_per_connection: int = Field(default=1000, ge=1)
    shaping: Path | None = None
    idle: Seconds = 30.0
    connect_timeout: Seconds = 30.0
    reply_timeout: Seconds = 300.0
    window: int = Field(default=10_000, ge=100)
    site_retry: Seconds = 30.0
    site_retry_max: Seconds = 300.0
    source_address: str = ""
    source: str = ""
    private_addresses: Literal["refuse", "allow"] = "refuse"
    ca_file: Path | None = None
    port: int = Field(default=25, ge=1, le=65535)
    mta_sts: bool = True
    mta_sts_port: int = Field(default=443, ge=1, le=65535)

    @model_validator(mode="after")
    def _schedule(self) -> DeliverySection:
        if not self.retry_schedule or min(self.retry_schedule) <= 0:
            raise ValueError('retry_schedule needs at least one duration above zero, e.g. ["1m", "5m"]')
        return self

    @field_validator("source_address")
    @classmethod
    def _is_address(cls, value: str) -> str:
        if value:
            ipaddress.ip_address(value)  # its ValueError says it well
        return value


class RouteSection(Section):
    """Mail for these domains goes to a next hop instead of its MX."""

    domain: str
    next_hop: Endpoint
    tls: TlsMode = TlsMode.OPPORTUNISTIC
    username: str = ""
    password_file: Path | None = None
    client_certificate: Path | None = None
    client_key: Path | None = None

    @model_validator(mode="after")
    def _auth(self) -> RouteSection:
        if bool(self.username) != (self.password_file is not None):
            raise ValueError("username and password_file go together")
        if self.username and self.tls in (TlsMode.NONE, TlsMode.OPPORTUNISTIC, TlsMode.ENCRYPT):
            raise ValueError(
                'username needs tls = "required", "wrapper" or "dane-only": no password goes in clear, '
                "or to a stranger"
            )
        if self.client_key is not None and self.client_certificate is None:
            raise ValueError("client_key needs client_certificate")
        if self.client_certificate is not None and self.tls is TlsMode.NONE:
            raise ValueError('client_certificate needs TLS: set tls = "required"')
        return self


class TlsPolicySection(Section):
    """What is asked of TLS for mail to these domains that goes by MX."""

    domain: str
    mode: TlsMode = TlsMode.OPPORTUNISTIC
    dane: bool = True
    mta_sts: bool = True

    @model_validator(mode="after")
    def _mode(self) -> TlsPolicySection:
        if self.mode is TlsMode.WRAPPER:
            raise ValueError('mode = "wrapper" is for a [[route]]: MX hosts speak STARTTLS')
        return self


class TlsReportsSection(Section):
    """Reports to receivers on how sessions' TLS fared (RFC 8460)."""

    enabled: bool = True
    organization: str = ""
    contact: str = ""
    spread: Seconds = 4 * 3600.0

    @field_validator("contact")
    @classmethod
    def _is_mail_address(cls, value: str) -> str:
        if value:
            check_address(value)
        return value
