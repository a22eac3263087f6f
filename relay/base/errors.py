"""The exceptions of the relay. A result is a value; an exception is a surprise.

::

    RelayError
      ConfigError              start-up and reload only; names file, setting and fix
      StartError               cannot start now, may in a minute
      Refused(reply)           the one that ingress may show to a client
      SpoolError               the spool could not keep a promise: 451 inwards, retried outwards
        SpoolFull              no room on disk or in memory: 452 4.3.1
        SpoolCorrupt           a record that does not prove itself; it is set aside
      DirectoryError           an operation on accounts, credentials, identities that cannot be done
      BackupError              a backup or restore that cannot be made; says why and what to do
      ProtocolError            the peer's dialogue
        LocalProtocolError     our bug
        RemoteProtocolError    their fault
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from relay.base.reply import Reply


class RelayError(Exception):
    """Base of all exceptions that the relay raises on purpose."""


class ConfigError(RelayError):
    """The configuration cannot be used; the text names the file, the setting and the fix."""


class StartError(RelayError):
    """The relay cannot start now though its configuration may be right; to try again later makes sense."""


class Refused(RelayError):
    """A submission is refused; ``reply`` is safe to show to the client, ``detail`` is for the log. ``why`` is
    the word under which it is counted."""

    def __init__(self, reply: Reply, detail: str = "", *, why: str = "content") -> None:
        super().__init__(detail or reply.text)
        self.reply = reply
        self.detail = detail
        self.why = why


class SpoolError(RelayError):
    """The spool could not write or read."""


class SpoolFull(SpoolError):
    """No room: the byte budget or the disk reserve is used up."""


class SpoolCorrupt(SpoolError):
    """A stored record does not match its own length or checksum."""


class DirectoryError(RelayError):
    """An operation on the directory that cannot be done; the text says why and what to do."""


class BackupError(RelayError):
    """A backup or a restore that cannot be done; the text says why and what to do."""


class ProtocolError(RelayError):
    """A peer's dialogue went wrong."""


class LocalProtocolError(ProtocolError):
    """We did something the protocol does not allow: a bug of ours."""


class RemoteProtocolError(ProtocolError):
    """The peer did something the protocol does not allow."""
