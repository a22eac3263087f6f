"""What the configuration names and only this machine can tell: are the files there, readable, and fit?

``check`` looks at all of them and raises one ConfigError that names every wrong one, so that `relay config
check` says at the desk what `relay run` would say at night. It runs as whoever calls it: after root was
dropped, it tells what the relay's user may read.

Blocking; it reads files, loads keys and binds to addresses, and opens neither connections nor the spool.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

from relay.base import credential
from relay.base.clock import SystemClock
from relay.base.errors import ConfigError, RelayError
from relay.base.route import TlsMode
from relay.daemon.inbound import doors_of
from relay.daemon.settings import shaping_sections
from relay.daemon.settings.config import Config, Section
from relay.daemon.translate import endpoint_text, load_service_keys, routing_rules, tls_rules
from relay.directory.secrets import KeyFile
from relay.ingress.tls import Certificate
from relay.transport.opening import read_password
from relay.transport.resolve import Resolver
from relay.transport.rules import Rules
from relay.transport.tls_policy import TlsContexts
from relay.transport.tls_rules import TlsRules


def check(config: Config) -> None:
    """Raises ConfigError, a line for each file or setting that cannot be used."""
    credentials = [path for path in _paths(config) if credential.is_credential(path)]
    lacking = {str(path): why for path in credentials if (why := credential.missing(path))}
    wrong = list(lacking.values())

    def tried(what: str, trial: Callable[[], object]) -> None:
        try:
            trial()
        except RelayError as error:
            lines = [f"{what}{line}" for line in str(error).splitlines()]
            wrong.extend(line for line in lines if not any(path in line for path in lacking))

    tls = config.tls
    if tls.certificate and tls.private_key:
        certificate, private_key = tls.certificate, tls.private_key
        tried("", lambda: Certificate(certificate, private_key))
    tried("[directory] key_file: ", lambda: KeyFile(config.directory.key_file).vault())
    tried("", lambda: load_service_keys(config))
    tried("", lambda: Rules(routing_rules(config)))
    tried("", lambda: TlsRules(tls_rules(config)))
    for route in config.route:
        if route.password_file is not None:
            tried(f'[[route]] domain "{route.domain}": ', _password(route.password_file))
        if route.client_certificate is not None:
            pair = str(route.client_certificate), str(route.client_key or "")
            tried(f'[[route]] domain "{route.domain}": ', _client_certificate(*pair))
    if config.delivery.ca_file is not None:
        contexts = TlsContexts(str(config.delivery.ca_file))
        tried("[delivery] ca_file: ", lambda: contexts.context(TlsMode.REQUIRED))
    if config.notifications.ca_file is not None:
        authorities = TlsContexts(str(config.notifications.ca_file))
        tried("[notifications] ca_file: ", lambda: authorities.context(TlsMode.REQUIRED))
    tried("", lambda: shaping_sections.load(config))
    server, timeout_s = endpoint_text(config.delivery.resolver), config.delivery.resolver_timeout
    tried("[delivery] resolver: ", lambda: Resolver(SystemClock(), server, timeout_s))
    if wrong:
        raise ConfigError("\n".join(f"{config.path}: {line}" for line in wrong))


def _paths(value: object) -> Iterator[Path]:
    """All files that the configuration names."""
    if isinstance(value, Path):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from _paths(one)
    elif isinstance(value, Section):
        for name in type(value).model_fields:
            yield from _paths(getattr(value, name))


def _password(file: Path) -> Callable[[], object]:
    return lambda: read_password(str(file))


def _client_certificate(certificate: str, key: str) -> Callable[[], object]:
    return lambda: TlsContexts().context(TlsMode.ENCRYPT, certificate, key)


def remarks(config: Config) -> list[str]:
    """What is allowed and yet probably not meant."""
    found = []
    if "." not in config.relay.hostname or config.relay.hostname.startswith("localhost"):
        found.append(
            f"[relay] hostname is {config.relay.hostname!r}: receivers refuse such a name; set the full one"
        )
    if not config.listener:
        found.append("no [[listener]]: only `relay send` can hand mail in")
    found += _inbound(config)
    found += _sources(config)
    if config.http.listen is not None and not config.verification.url:
        found.append("[http] listen without [verification] url: no links are sent that lead to its page")
    return found


def _inbound(config: Config) -> list[str]:
    """What is said to us and heard by nobody."""
    if not any(one.role == "inbound" for one in config.listener):
        if config.signing.return_path == "sender":
            return []
        return [
            '[signing] return_path = "relay" without a [[listener]] of role "inbound": bounces are not heard'
        ]
    if not doors_of(config, frozenset(), b"").has_postmaster:
        return ["[relay] postmaster is not a mailbox elsewhere: mail to postmaster@ and abuse@ is refused"]
    return []


def _sources(config: Config) -> list[str]:
    """Addresses to leave from that this machine has not."""
    found = []
    named = [(f'[[source]] "{one.name}" addresses', one.addresses) for one in config.source]
    simple = config.delivery.source_address
    if simple:
        named.append(("[delivery] source_address", [simple]))
        if config.delivery.source:
            found.append("[delivery] source_address is not used where source is set; remove one")
    for setting, addresses in named:
        for address in addresses:
            if (why := _cannot_bind(address)) is not None:
                found.append(f"{setting}: {address} cannot be bound ({why}); mail from there waits")
    return found


def _cannot_bind(address: str) -> str | None:
    try:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as trial:
            trial.bind((address, 0))
    except OSError as error:
        return error.strerror
    return None
