"""The tree of exceptions."""

import pytest

from relay.base import errors
from relay.base.reply import Reply


@pytest.mark.parametrize(
    ("kind", "parents"),
    [
        (errors.ConfigError, [errors.RelayError]),
        (errors.Refused, [errors.RelayError]),
        (errors.SpoolFull, [errors.SpoolError, errors.RelayError]),
        (errors.SpoolCorrupt, [errors.SpoolError, errors.RelayError]),
        (errors.DirectoryError, [errors.RelayError]),
        (errors.BackupError, [errors.RelayError]),
        (errors.LocalProtocolError, [errors.ProtocolError, errors.RelayError]),
        (errors.RemoteProtocolError, [errors.ProtocolError, errors.RelayError]),
    ],
)
def test_tree(kind, parents):
    assert all(issubclass(kind, parent) for parent in parents)


def test_refused_keeps_what_the_client_may_see_apart_from_the_log():
    reply = Reply(554, "Access denied", "5.7.1")
    refused = errors.Refused(reply, "account 7 is paused")
    assert refused.reply is reply
    assert str(refused) == refused.detail == "account 7 is paused"
    assert str(errors.Refused(reply)) == "Access denied"
