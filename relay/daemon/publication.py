"""All that the owner of a domain publishes for it, gathered: proof, DKIM, MAIL FROM. For the CLI; blocking.

Each kind of record has its owner (``directory.published``, ``directory.keys``, ``directory.mail_from``); here
they only come together, in the order in which an owner enters them.
"""

from __future__ import annotations

from relay.daemon.config import Config
from relay.daemon.translate import return_path_host
from relay.directory import mail_from
from relay.directory.published import Record, key_record, token_records
from relay.directory.store import Directory
from relay.directory.verification import Standing


def records_of(directory: Directory, config: Config, name: str, account: str | None) -> tuple[Record, ...]:
    """What to publish for a domain. Raises DirectoryError for an address: it has no records."""
    standing = directory.life.standing(name, account)
    keys = dkim_records(directory, standing, account)
    proof = token_records(standing.name, standing.token, config.verification.record_prefix)
    identity = directory.mail_froms.show(name, account).identity
    return (*proof, *keys, *mail_from.records(identity, return_path_host(config)))


def dkim_records(directory: Directory, standing: Standing, account: str | None) -> tuple[Record, ...]:
    """The records of its DKIM keys."""
    return tuple(map(key_record, directory.identities.signing_keys(standing.name, account)))
