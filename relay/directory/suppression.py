"""The suppression lists in the database: each account's, and the service-wide one (in place of account 0).

Contract: addresses are in their listed form (``relay.base.suppression``). Every entry that is put on a list
gets a serial of its own, higher than any that was ever given; writers wait for one another to get it, so that
serials appear in the order of commits, and whoever has read up to one has missed nothing. ``serial`` is the
latest: what the workers poll. What is taken off a list leaves no trace, which harms nobody who asks
``find`` before he believes that an address is listed. The revision of the directory stays as it is: no
snapshot holds these lists.

``put`` overwrites, ``put_newer`` leaves what is as new: the same news twice change nothing. Each is one
transaction, whole or not at all. What is on the service-wide list counts only if it is there since ``after``
(the callers' moment); ``prune`` takes off what is older.

Cost, measured on SQLite (``make bench-suppression``): importing a million entries takes 10 s of CPU.
Blocking; for threads and the CLI.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from sqlalchemy import delete, func, select, text, tuple_, update
from sqlalchemy.orm import Session

from relay.base.suppression import SERVICE, Listed, SuppressionReason, reasons_of
from relay.directory.database import Database
from relay.directory.models import AccountTable, SuppressionSerialTable, SuppressionTable

_AT_ONCE = 500  # addresses in one question
_PAGE = 5_000

_COLUMNS = "account_id, address, reason, since, message_id, serial"
_SQLITE = (
    f"INSERT INTO suppression ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)"  # noqa: S608
    " ON CONFLICT (account_id, address)"
)
_POSTGRESQL = (
    f"INSERT INTO suppression ({_COLUMNS}) SELECT * FROM unnest(CAST(:account_id AS int[]),"  # noqa: S608
    " CAST(:address AS text[]), CAST(:reason AS text[]), CAST(:since AS float8[]),"
    " CAST(:message_id AS text[]), CAST(:serial AS int8[])) ON CONFLICT (account_id, address)"
)
_OVERWRITE = (
    " DO UPDATE SET reason = excluded.reason, since = excluded.since, message_id = excluded.message_id,"
    " serial = excluded.serial"
)
# who has complained stays one who has: a later bounce does not make it less
_IF_NEWER = (
    " DO UPDATE SET reason = CASE suppression.reason WHEN 'COMPLAINT' THEN 'COMPLAINT' ELSE excluded.reason"
    " END, since = excluded.since, message_id = excluded.message_id, serial = excluded.serial"
    " WHERE excluded.since > suppression.since"
)

_CHANGES = text(
    "SELECT serial, account_id, address FROM suppression WHERE serial > :after ORDER BY serial LIMIT :most"
)

Entry = tuple[int, Listed]
"""An entry with whose list it is on: an account's number, or SERVICE."""


Change = tuple[int, int, str]
"""The serial of an address that was put on a list, whose list, and the address."""


class SuppressionLists:
    """The lists of a directory."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, entries: Sequence[Entry]) -> None:
        """Put on the lists, in the place of what was there; each address once."""
        self._upsert(entries, _OVERWRITE)

    def put_newer(self, entries: Sequence[Entry]) -> None:
        """Put on the lists what is newer than what is there; each address once."""
        self._upsert(entries, _IF_NEWER)

    def remove(self, list_of: int, addresses: Collection[str]) -> list[str]:
        """Take addresses off a list; returns those that were on it."""
        table, wanted = SuppressionTable, list(addresses)
        gone: list[str] = []
        with self._database.writing(is_visible=False) as session:
            _take_serials(session, 0)
            for at in range(0, len(wanted), _AT_ONCE):
                chunk = wanted[at : at + _AT_ONCE]
                gone += session.scalars(
                    delete(table)
                    .where(table.account_id == list_of, table.address.in_(chunk))
                    .returning(table.address)
                ).all()
        return gone

    def prune(self, before: float) -> int:
        """Take off the service-wide list what came onto it ``before`` or then; returns how many."""
        table, last, gone = SuppressionTable, "", 0
        key = (table.account_id == SERVICE, table.since <= before)
        page = select(table.address).where(*key).order_by(table.address).limit(_PAGE)
        while True:  # a page at a time, so that no other writer waits for long
            with self._database.reading() as session:
                found = session.scalars(page.where(table.address > last)).all()
            if not found:
                return gone
            with self._database.writing(is_visible=False) as session:
                _take_serials(session, 0)
                for at in range(0, len(found), _AT_ONCE):
                    chunk = found[at : at + _AT_ONCE]
                    old = delete(table).where(*key, table.address.in_(chunk)).returning(table.address)
                    gone += len(session.scalars(old).all())
            last = found[-1]

    def find(
        self, wanted: Mapping[int, Collection[str]], after: float
    ) -> dict[tuple[int, str], SuppressionReason]:
        """Those of the addresses, by whose list is asked, that are on it."""
        table, found = SuppressionTable, {}
        with self._database.reading() as session:
            for list_of, addresses in wanted.items():
                asked = list(addresses)
                for at in range(0, len(asked), _AT_ONCE):
                    chunk = asked[at : at + _AT_ONCE]
                    rows = select(table.address, table.reason, table.since).where(
                        table.account_id == list_of, table.address.in_(chunk)
                    )
                    for address, reason, since in session.execute(rows):
                        if list_of != SERVICE or since > after:
                            found[list_of, address] = SuppressionReason(reason)
        return found

    def everywhere(self, address: str) -> list[Entry]:
        """The entries of an address on all lists, the service-wide one first."""
        table = SuppressionTable
        lists = [SERVICE]
        with self._database.reading() as session:
            lists += session.scalars(select(AccountTable.id).order_by(AccountTable.name)).all()
            rows: list[SuppressionTable] = []
            for at in range(0, len(lists), _AT_ONCE):
                keys = [(number, address) for number in lists[at : at + _AT_ONCE]]
                rows += session.scalars(
                    select(table).where(tuple_(table.account_id, table.address).in_(keys))
                ).all()
            by_list = {row.account_id: _listed(row) for row in rows}
        return [(number, by_list[number]) for number in lists if number in by_list]

    def listed(
        self,
        list_of: int,
        *,
        reason: SuppressionReason | None = None,
        start: float | None = None,
        end: float | None = None,
        after: str = "",
        limit: int | None = None,
    ) -> Iterator[Listed]:
        """The entries of a list by address, those behind ``after``, since ``start`` and before ``end``. Read
        a page at a time, each a moment of its own: no listing holds up a writer or much memory."""
        table, left = SuppressionTable, limit
        where = [table.account_id == list_of]
        if reason is not None:
            where.append(table.reason == reason)
        if start is not None:
            where.append(table.since >= start)
        if end is not None:
            where.append(table.since < end)
        query = select(table.address, table.reason, table.since, table.message_id).where(*where)
        while left is None or left > 0:
            size = _PAGE if left is None else min(left, _PAGE)
            page = query.where(table.address > after).order_by(table.address).limit(size)
            with self._database.reading() as session:
                rows = session.execute(page).all()
            for address, why, since, message_id in rows:
                yield Listed(address, SuppressionReason(why), since, message_id)
            if len(rows) < size:
                return
            after, left = rows[-1][0], None if left is None else left - size

    def count(self, list_of: int) -> int:
        """How many are on a list."""
        rows = select(func.count()).where(SuppressionTable.account_id == list_of)
        with self._database.reading() as session:
            return int(session.scalar(rows) or 0)

    def reasons(self, accounts: Collection[int]) -> dict[int, frozenset[SuppressionReason]]:
        """What puts an address on the list of each of these accounts, of those that there are."""
        rows = select(AccountTable.id, AccountTable.suppressed_reasons).where(AccountTable.id.in_(accounts))
        with self._database.reading() as session:
            return {number: reasons_of(text) for number, text in session.execute(rows)}

    def serial(self) -> int:
        """The latest serial."""
        with self._database.reading() as session:
            return int(session.scalars(select(SuppressionSerialTable.value)).one())

    def changes(self, after: int, limit: int) -> list[Change]:
        """What was put on lists behind that serial, in order; what was taken off since is not among it."""
        with self._database.reading() as session:
            result = session.connection().execute(_CHANGES, {"after": after, "most": limit})
            assert result.cursor is not None
            return list(result.cursor.fetchall())  # as the driver has them: a fifth of what Row objects cost

    def _upsert(self, entries: Sequence[Entry], on_conflict: str) -> None:
        if not entries:
            return
        with self._database.writing(is_visible=False) as session:
            serial = _take_serials(session, len(entries))
            rows = [
                (list_of, one.address, one.reason.value, one.since, one.message_id, serial + number)
                for number, (list_of, one) in enumerate(entries)
            ]
            connection = session.connection()
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql(_SQLITE + on_conflict, rows)
            else:
                columns = zip(*rows, strict=True)
                values = dict(zip(_COLUMNS.split(", "), map(list, columns), strict=True))
                connection.execute(text(_POSTGRESQL + on_conflict), values)


def _take_serials(session: Session, count: int) -> int:
    """The first of so many that nobody had. Whoever writes takes these first, if only none: so nobody waits
    for a row while another waits for one of his."""
    table = SuppressionSerialTable
    last = session.scalars(update(table).values(value=table.value + count).returning(table.value)).one()
    return int(last) - count + 1


def _listed(row: SuppressionTable) -> Listed:
    return Listed(row.address, SuppressionReason(row.reason), row.since, row.message_id)
