"""From the configuration to what each stage is told: the stages know their own settings, not the file.

Pure but for ``load_service_keys``, which reads files. Every ConfigError names the table, the setting and the
fix.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from relay.base.address import domain_of
from relay.base.endpoint import format_endpoint, parse_endpoint
from relay.base.errors import ConfigError
from relay.base.route import Source
from relay.codec.mime import Limits
from relay.codec.tls_report import Reporter
from relay.daemon.duties.tls_report_duty import From
from relay.daemon.settings.config import Config, ListenerSection
from relay.daemon.settings.delivery_sections import DeliverySection
from relay.daemon.settings.reputation_section import ReputationSection
from relay.daemon.settings.sections import VerificationSection
from relay.directory import keys
from relay.directory.dkim_life import Pace
from relay.directory.records import Account
from relay.directory.verification import Settings
from relay.ingress.settings import ListenerSettings
from relay.policy.content_rules import REFUSED_EXTENSIONS, MessageRules, normal_extensions
from relay.policy.scanner import ScannerSettings
from relay.spool.retention import Keep
from relay.traffic.sources import Sources
from relay.transport.rules import RoutingRule
from relay.transport.settings import SessionSettings
from relay.transport.tls_rules import TlsRule
from relay.verdict.delay import DelayNotices
from relay.verdict.reputation import Thresholds


class Accounts(Protocol):
    """Whose mail it may be."""

    def account_named(self, name: str) -> Account | None:
        """The account of that name."""
        ...


def load_service_keys(config: Config) -> tuple[keys.SigningKey, ...]:
    """The keys of the service domain. Raises ConfigError."""
    loaded = []
    for one in config.signing.service_key:
        try:
            pem = one.file.read_bytes()
        except OSError as error:
            raise ConfigError(f"[[signing.service_key]] file: {one.file}: {error.strerror}") from error
        for algorithm in ("rsa-sha256", "ed25519-sha256"):
            try:
                loaded.append(keys.load(pem, config.signing.service_domain, one.selector, algorithm))
                break
            except Exception as error:
                reason = error
        else:
            raise ConfigError(f"[[signing.service_key]] file: {one.file}: no RSA or Ed25519 key: {reason}")
    return tuple(loaded)


def keep_of(config: Config) -> Keep:
    """How long each shard keeps its events; those that former workers left behind have the same bounds."""
    return Keep(config.events.keep_for, config.events.keep_size // config.workers.effective_count)


def notice_sender(config: Config) -> str:
    """From of the mail that the relay writes to people."""
    domain = config.signing.service_domain or config.relay.hostname
    return config.verification.sender or f"postmaster@{domain}"


def tls_reporter(config: Config) -> From:
    """Whom TLS reports come from."""
    domain = (config.signing.service_domain or config.relay.hostname).lower()
    section = config.tls_reports
    contact = section.contact or f"postmaster@{domain}"
    reporter = Reporter(section.organization or domain, contact, domain)
    return From(reporter, notice_sender(config), bool(config.signing.service_key))


def own_domain(config: Config) -> str:
    """The domain that people know the relay by, in lower case and A-labels."""
    return domain_of(f"@{config.signing.service_domain or config.relay.hostname}")


def own_domains(config: Config) -> frozenset[str]:
    """The domains of return paths that are not an identity's, also where MAIL FROM stays the sender's: mail
    from before may still come back."""
    named = config.signing.return_path_domain
    return frozenset({own_domain(config), named} - {""})


def complaints_address(config: Config) -> str:
    """Where receivers send complaints."""
    return config.feedback.complaints or f"complaints@{own_domain(config)}"


def mailer(config: Config) -> str:
    """From of mail that came back, when it is passed on."""
    return f"MAILER-DAEMON@{own_domain(config)}"


def postmaster(config: Config) -> str:
    """Who looks after this relay."""
    domain = config.signing.service_domain or config.relay.hostname
    return config.relay.postmaster or f"postmaster@{domain}"


def verification_settings(section: VerificationSection) -> Settings:
    """How the proof of identities is looked after."""
    return Settings(
        pending_for_s=section.pending_for,
        check_every_s=section.check_every,
        warned_for_s=section.warned_for,
        link_age_s=section.link_age,
    )


def reputation_thresholds(section: ReputationSection) -> Thresholds:
    """From which rates on accounts are warned and paused."""
    return Thresholds(
        bounce_warn=section.bounce_warn,
        bounce_pause=section.bounce_pause,
        complaint_warn=section.complaint_warn,
        complaint_pause=section.complaint_pause,
        minimum_volume=section.minimum_volume,
        is_pausing=section.pause,
        review_s=section.review,
    )


def routing_rules(config: Config) -> list[RoutingRule]:
    """The ``[[route]]`` tables as the router wants them."""
    return [
        RoutingRule(
            domain=one.domain,
            next_hop=endpoint_text(one.next_hop),
            tls=one.tls,
            username=one.username,
            password_file=str(one.password_file or ""),
            client_certificate=str(one.client_certificate or ""),
            client_key=str(one.client_key or ""),
        )
        for one in config.route
    ]


def delay_notices(section: DeliverySection) -> DelayNotices:
    """When senders hear of delays."""
    after_s = 0.0 if section.delay_notice == "never" else section.delay_notice_after
    return DelayNotices(after_s, section.delay_notice == "all")


def tls_rules(config: Config) -> list[TlsRule]:
    """The ``[[tls_policy]]`` tables as the router wants them."""
    return [TlsRule(one.domain, one.mode, one.dane, one.mta_sts) for one in config.tls_policy]


def sources_of(config: Config, unknown: Callable[[str], None]) -> Sources:
    """The ``[[source]]`` and ``[[source_pool]]`` tables; ``unknown`` hears of names that are not in them."""
    by_name = {
        one.name: Source(one.name, tuple(one.addresses), one.helo_name, one.prefer) for one in config.source
    }
    pools = {
        pool.name: [
            (by_name[name], weight)
            for name, weight in zip(pool.sources, pool.weights or [1] * len(pool.sources), strict=True)
        ]
        for pool in config.source_pool
    }
    return Sources(by_name.values(), pools, config.delivery.source, unknown)


def return_path_domain(config: Config) -> str:
    """The domain of the relay's own return paths; "" where MAIL FROM stays the sender's."""
    signing = config.signing
    if signing.return_path == "sender":
        return ""
    return signing.return_path_domain or signing.service_domain.lower()


def return_path_host(config: Config) -> str:
    """Where the MX of MAIL FROM domains must lead."""
    return (config.signing.return_path_host or config.relay.hostname).lower()


def listener_settings(config: Config, section: ListenerSection, accounts: Accounts) -> ListenerSettings:
    """What one listener is told. Raises ConfigError if its account does not exist."""
    account_id = 0
    if section.account:
        account = accounts.account_named(section.account)
        if account is None:
            raise ConfigError(
                f'[[listener]] account = "{section.account}": no such account; '
                f"make it with `relay account create {section.account}`"
            )
        account_id = account.id
    limits = config.limits
    if section.role == "inbound":
        return _inbound_settings(config, section)
    return ListenerSettings(
        hostname=config.relay.hostname,
        tls=section.tls,
        auth=section.auth,
        trusted_networks=tuple(section.trusted_networks),
        account_id=account_id,
        proxy_protocol=section.proxy_protocol,
        proxy_networks=tuple(section.proxy_networks),
        max_message_bytes=limits.message_size,
        max_recipients=limits.recipients,
        postmaster=postmaster(config),
        command_timeout_s=limits.command_timeout,
        data_timeout_s=limits.data_timeout,
    )


def _inbound_settings(config: Config, section: ListenerSection) -> ListenerSettings:
    has_certificate = config.tls.certificate and config.tls.private_key
    return ListenerSettings(
        hostname=config.relay.hostname,
        role="inbound",
        tls=section.tls if has_certificate else "none",
        auth="none",
        proxy_protocol=section.proxy_protocol,
        proxy_networks=tuple(section.proxy_networks),
        max_message_bytes=config.feedback.message_size,
        max_recipients=config.feedback.recipients,
        postmaster=f"postmaster@{config.relay.hostname}",
        command_timeout_s=config.limits.command_timeout,
        data_timeout_s=config.limits.data_timeout,
    )


def content_rules(config: Config) -> tuple[MessageRules, ScannerSettings]:
    """What a message may hold, and where clamd is."""
    content = config.content
    given = content.refused_extensions
    rules = MessageRules(
        has_header_rules=content.header_rules,
        limits=Limits(parts=content.mime_parts, depth=content.mime_depth),
        extensions=REFUSED_EXTENSIONS if given is None else normal_extensions(given),
        takes_data_uris=content.data_uris == "accept",
    )
    path = content.scanner.removeprefix("unix:") if content.scanner.startswith("unix:") else ""
    host, port = parse_endpoint(content.scanner) if content.scanner and not path else ("", 0)
    return rules, ScannerSettings(path, host, port, content.scanner_timeout, content.scanner_failure)


def session_settings(config: Config) -> SessionSettings:
    """Timeouts of the dialogue as client; ``reply_timeout`` bounds each reply but that to the dot."""
    delivery = config.delivery
    reply_s = delivery.reply_timeout
    return SessionSettings(
        helo_name=config.relay.hostname,
        source_address=delivery.source_address,
        is_private_allowed=delivery.private_addresses == "allow",
        connect_s=delivery.connect_timeout,
        greeting_s=reply_s,
        ehlo_s=reply_s,
        auth_s=reply_s,
        mail_s=reply_s,
        rcpt_s=reply_s,
        data_s=min(reply_s, 120.0),
        block_s=min(reply_s, 180.0),
        dot_s=2 * reply_s,
    )


def endpoint_text(address: tuple[str, int] | None) -> str:
    """``host:port`` as the stages read it; "" for none."""
    return "" if address is None else format_endpoint(*address)


def dkim_pace(config: Config) -> Pace:
    """How long DKIM records are looked for, and when keys turn."""
    verification = config.verification
    return Pace(
        pending_for_s=verification.pending_for,
        check_every_s=verification.check_every,
        warned_for_s=verification.dkim_warned_for,
        rotate_every_s=config.signing.rotate_every,
        retired_for_s=config.delivery.max_age + 86400.0,
    )
