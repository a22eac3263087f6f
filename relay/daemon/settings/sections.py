"""The tables of the configuration file: what may be set, of which kind, with which default.

Pure: a section is frozen, refuses unknown keys, and checks what can be known from its text alone; whether the
files that it names can be read is another question (``files``). ``conf/relay.toml`` shows every
setting with unit and reason; a test compares the two.
"""

from __future__ import annotations

import functools
import os
import re
import socket
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from relay.base import return_path
from relay.base.address import check_address
from relay.base.endpoint import format_endpoint
from relay.daemon.settings.delivery_sections import (
    DeliverySection,
    RouteSection,
    TlsPolicySection,
    TlsReportsSection,
)
from relay.daemon.settings.feedback_section import FeedbackSection
from relay.daemon.settings.reputation_section import ReputationSection
from relay.daemon.settings.section import Bytes, Network, OptionalEndpoint, Seconds, Section, endpoints
from relay.daemon.settings.source_sections import SourcePoolSection, SourceSection, check_sources
from relay.daemon.settings.units import parse_endpoint


@functools.cache
def _own_name() -> str:
    return socket.getfqdn()  # once: it may ask the DNS, and we must not change our name with its mood


_URL = re.compile(r"https?://[^\s/?#]+(/[^\s?#]*)?")
_LABEL = re.compile(r"_?[a-z0-9]([a-z0-9-]{0,60}[a-z0-9])?")


class RelaySection(Section):
    """Who we are."""

    hostname: str = Field(default_factory=_own_name)
    user: str = ""
    group: str = ""
    postmaster: str = ""

    @field_validator("postmaster")
    @classmethod
    def _is_address(cls, value: str) -> str:
        try:
            if value:
                check_address(value)
        except ValueError as error:
            raise ValueError(f'{value!r} is not an address ({error}); e.g. "admin@example.com"') from None
        return value

    @field_validator("hostname")
    @classmethod
    def _is_name(cls, value: str) -> str:
        try:
            check_address(f"postmaster@{value}")
        except ValueError as error:
            raise ValueError(f'{value!r} is not a host name ({error}); e.g. "mail.example.com"') from None
        return value

    @model_validator(mode="after")
    def _group(self) -> RelaySection:
        if self.group and not self.user:
            raise ValueError("group needs user: the relay becomes both or neither")
        return self


class ListenerSection(Section):
    """A way in for clients."""

    address: Annotated[list[tuple[str, int]], BeforeValidator(endpoints)]
    role: Literal["submission", "inbound"] = "submission"
    tls: Literal["starttls", "wrapper", "none"] = "starttls"
    auth: Literal["required", "none"] = "required"
    trusted_networks: list[Network] = []
    account: str = ""
    socket_name: str = ""
    proxy_protocol: bool = False
    proxy_networks: list[Network] = []

    @model_validator(mode="after")
    def _consistent(self) -> ListenerSection:
        if self.role == "inbound":
            self._check_inbound()
        elif self.auth == "none":
            if not self.trusted_networks:
                raise ValueError('auth = "none" needs trusted_networks = ["10.0.0.0/8", ...]')
            if not self.account:
                raise ValueError('auth = "none" needs account = "NAME": whose mail it is')
        elif self.trusted_networks or self.account:
            raise ValueError('trusted_networks and account are for auth = "none": here clients log in')
        elif self.tls == "none":
            raise ValueError(
                'auth = "required" needs tls = "starttls" or "wrapper": no password goes in clear'
            )
        if self.proxy_protocol and not self.proxy_networks:
            raise ValueError("proxy_protocol = true needs proxy_networks: the addresses of the proxies")
        return self

    def _check_inbound(self) -> None:
        given = self.model_fields_set & {"auth", "trusted_networks", "account"}
        if given - {"auth"} or ("auth" in given and self.auth != "none"):
            raise ValueError(
                f'role = "inbound" takes mail from any server: leave {", ".join(sorted(given))} out'
            )
        if self.tls == "wrapper":
            raise ValueError('role = "inbound" needs tls = "starttls" or "none": mail servers speak no other')


class TlsSection(Section):
    """Our certificate, for clients."""

    certificate: Path | None = None
    private_key: Path | None = None


class LimitsSection(Section):
    """Bounds on what clients may make us hold. Connections are counted over all workers."""

    connections: int = Field(default=1000, ge=1)
    connections_per_address: int = Field(default=200, ge=1)
    message_size: Bytes = 10 * 1024 * 1024
    recipients: int = Field(default=50, ge=1)
    max_hops: int = Field(default=100, ge=10)
    command_timeout: Seconds = 300.0
    data_timeout: Seconds = 180.0
    receive_memory: Bytes = 64_000_000


class ContentSection(Section):
    """What a message may hold, and who scans it."""

    header_rules: bool = True
    mime_parts: int = Field(default=500, ge=1)
    mime_depth: int = Field(default=20, ge=1, le=100)
    refused_extensions: list[str] | None = None
    data_uris: Literal["refuse", "accept"] = "refuse"
    scanner: str = ""
    scanner_timeout: Seconds = 30.0
    scanner_failure: Literal["defer", "pass"] = "defer"

    @field_validator("scanner")
    @classmethod
    def _scanner(cls, text: str) -> str:
        if text.startswith("unix:"):
            if not text.startswith("unix:/"):
                raise ValueError(
                    f'"{text}": the socket of clamd is an absolute path, "unix:/run/clamav/clamd.ctl"'
                )
        elif text:
            parse_endpoint(text)
        return text


class VerificationSection(Section):
    """How owners prove that a domain or an address is theirs."""

    url: str = ""
    sender: str = ""
    record_prefix: str = "_relay"
    pending_for: Seconds = 72 * 3600.0
    check_every: Seconds = 86400.0
    warned_for: Seconds = 72 * 3600.0
    dkim_warned_for: Seconds = 5 * 86400.0
    link_age: Seconds = 86400.0

    @field_validator("url")
    @classmethod
    def _is_url(cls, value: str) -> str:
        if value and _URL.fullmatch(value) is None:
            raise ValueError(f'{value!r} is no URL of a page; e.g. "https://relay.example.com"')
        return value

    @field_validator("sender")
    @classmethod
    def _is_address(cls, value: str) -> str:
        try:
            if value:
                check_address(value)
        except ValueError as error:
            raise ValueError(f'{value!r} is not an address ({error}); e.g. "relay@example.com"') from None
        return value

    @field_validator("record_prefix")
    @classmethod
    def _is_label(cls, value: str) -> str:
        if _LABEL.fullmatch(value) is None:
            raise ValueError(f'{value!r} is not one label of lower-case letters; e.g. "_relay"')
        return value


class HttpSection(Section):
    """What is served to the public: the page behind verification links."""

    listen: OptionalEndpoint = None


class SpoolSection(Section):
    """Where the promise is kept."""

    path: Path = Path("/var/spool/relay")
    fresh_memory: Bytes = 64_000_000
    disk_reserve: Bytes = 256_000_000
    large_message: Bytes = 256 * 1024
    uncertain_age: Seconds = 14 * 86400.0


class EventsSection(Section):
    """How long the log of events is kept."""

    keep_for: Seconds = 14 * 86400.0
    keep_size: Bytes = 2_000_000_000

    @field_validator("keep_for")
    @classmethod
    def _is_a_day(cls, value: float) -> float:
        if value < 86_400.0:
            raise ValueError('less than "24h": quotas and statistics count what the last 24 hours brought')
        return value


class DirectorySection(Section):
    """Where accounts, credentials, identities and keys are kept."""

    url: str = ""
    key_file: Path = Path("/var/lib/relay/relay.key")
    region: str = "us-east-1"


class ServiceKeySection(Section):
    """A key of the service domain: each signs every message, beside the identity's keys."""

    selector: str
    file: Path


class SigningSection(Section):
    """The service domain and its signature."""

    service_domain: str = ""
    return_path: Literal["sender", "relay"] = "sender"
    return_path_domain: str = ""
    return_path_host: str = ""
    rotate_every: Seconds = 90 * 86400.0
    service_key: list[ServiceKeySection] = []

    @field_validator("return_path_domain")
    @classmethod
    def _is_domain(cls, value: str) -> str:
        try:
            check_address(f"{'x' * return_path.LENGTH}@{value or 'none.example'}")
        except ValueError as error:
            raise ValueError(f'{value!r} is not a domain ({error}); e.g. "bounces.example.com"') from None
        return value.lower()

    @model_validator(mode="after")
    def _domain(self) -> SigningSection:
        if self.service_key and not self.service_domain:
            raise ValueError("[[signing.service_key]] needs [signing] service_domain")
        if self.return_path == "relay" and not (self.return_path_domain or self.service_domain):
            raise ValueError('return_path = "relay" needs return_path_domain, or a service_domain')
        if self.return_path == "relay" and not (self.return_path_domain or self.service_domain).isascii():
            raise ValueError("return_path_domain: write the domain in A-labels (xn--...)")
        return self


class SuppressionSection(Section):
    """How long mail to an address that has bounced is kept back from all accounts."""

    service_for: Seconds = 14 * 86400.0


class NotificationsSection(Section):
    """How notifications are posted to topics."""

    timeout: Seconds = Field(default=10.0, gt=0)
    give_up_after: Seconds = Field(default=86400.0, ge=60)
    private_addresses: Literal["refuse", "allow"] = "refuse"
    ca_file: Path | None = None


class WorkersSection(Section):
    """How many processes share the work; 0 is one per core."""

    count: int = Field(default=0, ge=0, le=256)
    drain: Seconds = 30.0
    heartbeat: Seconds = Field(default=30.0, ge=2)  # a worker touches the board once a second

    @property
    def effective_count(self) -> int:
        """The number of workers to run."""
        return self.count or len(os.sched_getaffinity(0))


class MetricsSection(Section):
    """Prometheus and health over HTTP."""

    listen: OptionalEndpoint = ("127.0.0.1", 9125)


class LogSection(Section):
    """Lines on standard error."""

    format: Literal["keyvalue", "json"] = "keyvalue"
    level: Literal["debug", "info", "warning", "error"] = "info"


class Config(Section):
    """The whole file."""

    relay: RelaySection = RelaySection()
    listener: list[ListenerSection] = []
    tls: TlsSection = TlsSection()
    limits: LimitsSection = LimitsSection()
    feedback: FeedbackSection = FeedbackSection()
    content: ContentSection = ContentSection()
    verification: VerificationSection = VerificationSection()
    http: HttpSection = HttpSection()
    spool: SpoolSection = SpoolSection()
    events: EventsSection = EventsSection()
    directory: DirectorySection = DirectorySection()
    signing: SigningSection = SigningSection()
    delivery: DeliverySection = DeliverySection()
    suppression: SuppressionSection = SuppressionSection()
    route: list[RouteSection] = []
    source: list[SourceSection] = []
    source_pool: list[SourcePoolSection] = []
    tls_reports: TlsReportsSection = TlsReportsSection()
    tls_policy: list[TlsPolicySection] = []
    reputation: ReputationSection = ReputationSection()
    notifications: NotificationsSection = NotificationsSection()
    workers: WorkersSection = WorkersSection()
    metrics: MetricsSection = MetricsSection()
    log: LogSection = LogSection()
    path: Path = Path()

    @model_validator(mode="after")
    def _addresses(self) -> Config:
        seen: set[tuple[str, int]] = set()
        for address in [a for one in self.listener for a in one.address] + [
            self.metrics.listen,
            self.http.listen,
        ]:
            if address is not None and address[1] and address in seen:
                raise ValueError(f"{format_endpoint(*address)} is listened on twice")
            if address is not None:
                seen.add(address)
        return self

    @model_validator(mode="after")
    def _sources(self) -> Config:
        check_sources(self.source, self.source_pool, self.delivery.source)
        return self

    @model_validator(mode="after")
    def _certificate(self) -> Config:
        needy = [one for one in self.listener if one.tls != "none" and one.role == "submission"]
        if needy and not (self.tls.certificate and self.tls.private_key):
            raise ValueError(
                "a listener with TLS needs [tls] certificate and private_key (relay init makes a first pair)"
            )
        return self
