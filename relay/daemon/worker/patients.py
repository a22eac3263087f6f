"""Whom the doctor examines: identities as the relay treats them now, from the directory and configuration.

What signs and whose MAIL FROM is used comes from the same snapshot and the same rules as for a message, so
that the doctor cannot be of another opinion than the relay. Blocking; for the CLI.
"""

from __future__ import annotations

import socket

from relay.admin.doctor import Patient, PublicKey
from relay.admin.finding import MailFrom
from relay.base.endpoint import format_endpoint
from relay.base.errors import DirectoryError, Refused
from relay.daemon.inbound import doors_of
from relay.daemon.settings.config import Config
from relay.daemon.translate import load_service_keys, return_path_domain, return_path_host
from relay.daemon.worker.publication import dkim_records
from relay.directory.identities import Held
from relay.directory.keys import SigningKey, public_record, zone_record
from relay.directory.published import zone_line
from relay.directory.records import Identity, IdentityKind, KeyState, RecordState
from relay.directory.snapshot import KeyRing, Snapshot
from relay.directory.store import Directory
from relay.policy.return_path import domain_for

# a.root-servers.net: addresses that are certainly elsewhere; nothing is sent there
_ELSEWHERE = ((socket.AF_INET, "198.41.0.4"), (socket.AF_INET6, "2001:503:ba3e::2:30"))

_SOMEBODY = "relay-doctor"  # an address of the domain that is hardly an identity by itself


def own_addresses(config: Config) -> tuple[str, ...]:
    """The addresses that mail leaves from: as configured, else those the kernel would choose. Nothing is
    sent: connecting a UDP socket only looks up the route."""
    if config.delivery.source_address:
        return (config.delivery.source_address,)
    found = []
    for family, address in _ELSEWHERE:
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as one:
                one.connect((address, 9))
                found.append(str(one.getsockname()[0]))
        except OSError:  # no such family here, or no route
            continue
    return tuple(found)


def leaving_from(config: Config, source: str) -> tuple[tuple[str, ...], dict[str, str]]:
    """The addresses that mail of an account with this source leaves from, and the name in EHLO of those that
    have one of their own."""
    pools = {one.name: one.sources for one in config.source_pool}
    known = {one.name: one for one in config.source}
    for name in (source, config.delivery.source):
        members = [known[one] for one in pools.get(name, [name]) if one in known]
        if members:
            break
    else:
        return own_addresses(config), {}
    addresses: dict[str, str] = {}
    for member in members:
        for address in member.addresses or own_addresses(config):
            addresses[address] = member.helo_name.lower()
    return tuple(addresses), {address: name for address, name in addresses.items() if name}


def snapshot_of(directory: Directory) -> Snapshot:
    """The directory as workers see it."""
    return Snapshot(directory.read(), KeyRing(directory.vault(), directory.region))


def patient_of(
    held: Held, snapshot: Snapshot, config: Config, given: tuple[str, ...], directory: Directory
) -> Patient:
    """An identity, ready to be examined. Raises DirectoryError if its keys do not open.

    ``given``: the addresses that mail leaves from as the administrator knows them; none: our own.
    """
    row = held.identity
    domain = row.name.rpartition("@")[2]
    author = row.name if "@" in row.name else f"{_SOMEBODY}@{domain}"
    identity = snapshot.identity_for(row.account_id, author)
    if identity is not None and identity.id != row.id:
        identity = None  # its own is not verified; a wider one covers it
    mail_from, kind = _mail_from(identity, author, config)
    keys, dkim_state = _keys(held, identity, config, directory)
    account = snapshot.account(row.account_id)
    addresses, helo_of = leaving_from(config, account.source if account is not None else "")
    return Patient(
        domain=domain,
        helo=config.relay.hostname.lower(),
        host=return_path_host(config),
        mail_from=mail_from or domain,
        mail_from_kind=kind,
        addresses=given or addresses,
        helo_of={one: name for one, name in helo_of.items() if one in (given or addresses)},
        smarthost="" if given else _smarthost(config),
        keys=(*keys, *(_public(key, is_service=True) for key in load_service_keys(config))),
        is_dkim_on=row.is_dkim_on,
        dkim_state=dkim_state,
        unused=_unused(identity),
        has_inbound=any(one.role == "inbound" for one in config.listener),
        is_postmaster_read=doors_of(config, frozenset(), b"").has_postmaster,
        unverified="" if identity is not None else row.state.value,
    )


def _smarthost(config: Config) -> str:
    return next((format_endpoint(*one.next_hop) for one in config.route if one.domain == "*"), "")


def _keys(
    held: Held, identity: Identity | None, config: Config, directory: Directory
) -> tuple[list[PublicKey], str]:
    """The keys that sign, else those that would if their records were there, and how the records stand."""
    row = held.identity
    if identity is not None and identity.keys:
        lines = _lines(directory, config, identity.keys[0].domain, held.account)
        return [_public(key, lines.get(key.record_name, "")) for key in identity.keys], ""
    if not row.is_dkim_on or row.kind is IdentityKind.ADDRESS:
        return [], ""
    dkim = directory.dkim.of(row.name, held.account)
    lines = _lines(directory, config, row.name, held.account)
    active = [key for key in dkim.public if key.state is KeyState.ACTIVE]
    return [
        PublicKey(key.name, key.domain, key.text, lines.get(key.name, ""), is_signing=False) for key in active
    ], dkim.standing.state.value


def _lines(directory: Directory, config: Config, domain: str, account: str) -> dict[str, str]:
    """What the owner of a domain publishes for its keys, by name. With a service domain that is a CNAME."""
    try:
        return {one.name: zone_line(one) for one in dkim_records(directory, config, domain, account)}
    except DirectoryError:  # a key of a domain that the account holds in another form
        return {}


def _mail_from(identity: Identity | None, author: str, config: Config) -> tuple[str, MailFrom]:
    """The domain of MAIL FROM as receivers see it; "" for the sender's own."""
    default = return_path_domain(config)
    try:
        domain = domain_for(identity, author, default)
    except Refused:  # nothing leaves; what would, if it did
        assert identity is not None
        return identity.mail_from, MailFrom.OWN
    if not domain:
        return "", MailFrom.SENDER
    own = identity is not None and domain == identity.mail_from
    return domain, MailFrom.OWN if own else MailFrom.RELAY


def _unused(identity: Identity | None) -> str:
    if identity is None or not identity.mail_from or identity.mail_from_state is RecordState.VERIFIED:
        return ""
    return f"the MAIL FROM domain {identity.mail_from} is {identity.mail_from_state.value}; it"


def _public(key: SigningKey, publish: str = "", *, is_service: bool = False) -> PublicKey:
    record = public_record(key)
    return PublicKey(
        key.record_name, key.domain, record, publish or zone_record(key.record_name, record), is_service
    )
