"""All that the owner of a domain publishes for it, gathered: proof, DKIM, MAIL FROM. For the CLI; blocking.

Each kind of record has its owner (``directory.published``, ``dkim_records``, ``mail_from``); here they only
come together, in the order in which an owner enters them.
"""

from __future__ import annotations

from relay.daemon.settings.config import Config
from relay.daemon.translate import return_path_host
from relay.directory import mail_from
from relay.directory.dkim_records import to_publish
from relay.directory.published import Record, token_records
from relay.directory.store import Directory


def records_of(
    directory: Directory, config: Config, name: str, account: str | None, *, is_direct: bool = False
) -> tuple[Record, ...]:
    """What to publish for a domain. Raises DirectoryError for an address: it has no records.

    ``is_direct``: DKIM keys as TXT records, though there is a service domain to which CNAMEs could lead.
    """
    standing = directory.life.standing(name, account)
    keys = dkim_records(directory, config, standing.name, account, is_direct=is_direct)
    proof = token_records(standing.name, standing.token, config.verification.record_prefix)
    identity = directory.mail_froms.show(name, account).identity
    return (*proof, *keys, *mail_from.records(identity, return_path_host(config)))


def dkim_records(
    directory: Directory, config: Config, name: str, account: str | None, *, is_direct: bool = False
) -> tuple[Record, ...]:
    """The records of its DKIM keys, those that sign first."""
    public = directory.dkim.of(name, account).public
    return tuple(to_publish(public, config.signing.service_domain, is_direct=is_direct))
