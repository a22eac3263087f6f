"""The directory: who exists, as the CLI changes it and the running relay reads it.

``Directory`` joins the database, the key file and the three kinds of things kept there: ``accounts``,
``credentials``, ``identities``. Each operation is one transaction; one that cannot be done raises
DirectoryError with a text that says what to do. The key file is read when a secret is first sealed or opened,
so that ``account list`` works without it.

Blocking; never on the hot path, which sees only the snapshot that ``refresh`` builds from ``read``.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import select

from relay.base.clock import Clock, SystemClock
from relay.directory.accounts import Accounts, account_of
from relay.directory.credentials import Credentials
from relay.directory.database import Database
from relay.directory.dkim_keys import DkimKeys
from relay.directory.identities import Identities, identity_of, key_of
from relay.directory.life import Life
from relay.directory.mail_from import MailFroms
from relay.directory.models import (
    AccountTable,
    CredentialTable,
    DkimKeyTable,
    IdentityTable,
    RevisionTable,
    SuspensionTable,
    TopicTable,
)
from relay.directory.notifications import Notifications, read_rows, read_unforwarded
from relay.directory.records import (
    Contents,
    CredentialState,
    IdentityState,
    KeyState,
    SealedCredential,
)
from relay.directory.secrets import KeyFile, Vault
from relay.directory.suppression import SuppressionLists
from relay.directory.suspensions import SuspensionRows, suspension_of
from relay.directory.topics import Topics, sealed_of


class Directory:
    """Accounts, credentials, identities and their keys in one database."""

    def __init__(self, url: str, key_file: Path, region: str, clock: Clock | None = None) -> None:
        """``url`` is SQLAlchemy's; ``region`` goes into SMTP passwords. Nothing is opened yet.

        Raises DirectoryError if the URL names no database that can be had.
        """
        clock = clock or SystemClock()
        self._database = Database(url)
        self._key_file = KeyFile(key_file)
        self.region = region
        self.accounts = Accounts(self._database, clock)
        self.credentials = Credentials(self._database, self._key_file, region, clock)
        self.identities = Identities(self._database, self._key_file, clock)
        self.life = Life(self._database, self._key_file, clock)
        self.mail_froms = MailFroms(self._database, clock)
        self.dkim = DkimKeys(self._database, self._key_file, clock)
        self.suspensions = SuspensionRows(self._database, clock)
        self.topics = Topics(self._database, self._key_file, clock)
        self.notifications = Notifications(self._database)
        self.suppression = SuppressionLists(self._database)

    def __str__(self) -> str:
        return str(self._database)

    def migrate(self) -> None:
        """Make the tables, or bring them to what this version needs."""
        self._database.migrate()

    def is_current(self) -> bool:
        """Whether the tables are those of this version; False also if no one can say."""
        return self._database.is_current()

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def vault(self) -> Vault:
        """The vault of the key file. Raises DirectoryError if it cannot be used."""
        return self._key_file.vault()

    def revision(self) -> int:
        """A number that every change raises; 0.2 ms."""
        return self._database.revision()

    def read(self) -> Contents:
        """All that a snapshot needs, in one transaction: secrets still sealed, identities that may send."""
        verified = IdentityTable.state.in_([state for state in IdentityState if state.is_sending])
        with self._database.reading() as session:
            revision = session.execute(select(RevisionTable.value)).scalar_one()
            accounts = tuple(map(account_of, session.scalars(select(AccountTable))))
            suspensions = tuple(map(suspension_of, session.scalars(select(SuspensionTable))))
            topics = tuple(map(sealed_of, session.scalars(select(TopicTable))))
            notifications, unforwarded = read_rows(session), read_unforwarded(session)
            # Plain columns for what there is much of: a mapped object costs ten times a row.
            credential, identity, key = (
                t.__table__.c for t in (CredentialTable, IdentityTable, DkimKeyTable)
            )
            credentials = tuple(
                SealedCredential(*row)
                for row in session.execute(
                    select(credential.key_id, credential.account_id, credential.secret).where(
                        credential.state == CredentialState.ACTIVE
                    )
                )
            )
            identities = tuple(
                identity_of(row)  # type: ignore[arg-type]  # a Row has the columns as attributes
                for row in session.execute(select(*identity).where(verified))
            )
            keys = tuple(
                key_of(row)  # type: ignore[arg-type]
                for row in session.execute(
                    select(*key)
                    .join(IdentityTable, IdentityTable.id == key.identity_id)
                    .where(verified, key.state == KeyState.ACTIVE)
                    .order_by(key.id)
                )
            )
        return Contents(
            revision,
            accounts,
            credentials,
            identities,
            keys,
            suspensions,
            topics,
            notifications,
            unforwarded,
        )
