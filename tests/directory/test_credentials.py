"""Credentials: shown once, two at most, sealed at rest."""

import logging
import threading
from pathlib import Path

import pytest

from relay.base.errors import DirectoryError
from relay.directory import secrets
from relay.directory.records import CredentialState
from relay.directory.store import Directory


def test_the_secret_is_shown_once_and_sealed_at_rest(
    directory: Directory, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    directory.accounts.create("shop")
    new = directory.credentials.create("shop")
    assert new.smtp_username == new.key_id
    assert new.smtp_password == secrets.smtp_password(new.secret, "us-east-1")
    directory.close()
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("directory.db*"))
    for hidden in (new.secret, new.smtp_password):
        assert hidden.encode() not in stored
        assert hidden not in repr(new)
        assert hidden not in caplog.text
    assert new.key_id.encode() in stored


def test_an_account_rotates_with_two(directory: Directory) -> None:
    directory.accounts.create("shop")
    first, second = directory.credentials.create("shop"), directory.credentials.create("shop")
    with pytest.raises(DirectoryError, match="has 2 active credentials already: disable or delete one"):
        directory.credentials.create("shop")
    directory.credentials.delete(first.key_id)
    third = directory.credentials.create("shop")
    held = {credential.key_id for credential, _ in directory.credentials.list("shop")}
    assert held == {second.key_id, third.key_id}


def test_an_inactive_one_leaves_room_and_logs_no_one_in(directory: Directory) -> None:
    directory.accounts.create("shop")
    first, second = directory.credentials.create("shop"), directory.credentials.create("shop")
    assert directory.credentials.disable(first.key_id).state is CredentialState.INACTIVE
    assert [sealed.key_id for sealed in directory.read().credentials] == [second.key_id]
    third = directory.credentials.create("shop")
    with pytest.raises(DirectoryError, match="has 2 active credentials already"):
        directory.credentials.enable(first.key_id)
    assert directory.credentials.enable(second.key_id).state is CredentialState.ACTIVE  # as it was
    directory.credentials.delete(third.key_id)
    assert directory.credentials.enable(first.key_id).state is CredentialState.ACTIVE
    assert {sealed.key_id for sealed in directory.read().credentials} == {first.key_id, second.key_id}


def test_the_last_use_is_noted_and_no_worker_reads_anew_for_it(directory: Directory) -> None:
    directory.accounts.create("shop")
    first, second = directory.credentials.create("shop"), directory.credentials.create("shop")
    revision = directory.revision()
    directory.credentials.mark_used({first.key_id: 100.0, "RLAYGONE": 100.0})
    directory.credentials.mark_used({first.key_id: 90.0})  # another worker's, written later
    directory.credentials.mark_used({})
    used = {credential.key_id: credential.last_used_at for credential, _ in directory.credentials.list()}
    assert used == {first.key_id: 100.0, second.key_id: None}
    assert directory.revision() == revision


def test_a_note_does_not_wait_long_for_other_writers(directory: Directory) -> None:
    directory.accounts.create("shop")
    made = directory.credentials.create("shop")
    with directory._database.writing(), pytest.raises(DirectoryError, match="locked"):
        directory.credentials.mark_used({made.key_id: 100.0})
    directory.credentials.mark_used({made.key_id: 100.0})
    assert directory.credentials.list()[0][0].last_used_at == 100.0


def test_two_administrators_at_once_still_make_two(directory: Directory) -> None:
    directory.accounts.create("shop")
    refused = []

    def create() -> None:
        try:
            directory.credentials.create("shop")
        except DirectoryError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=create) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(directory.credentials.list()) == 2
    assert len(refused) == 4


def test_the_list_names_the_accounts(directory: Directory) -> None:
    for name in ("shop", "blog"):
        directory.accounts.create(name)
        directory.credentials.create(name)
    assert [name for _, name in directory.credentials.list()] == ["blog", "shop"]
    assert [name for _, name in directory.credentials.list("shop")] == ["shop"]


def test_what_is_not_there_is_told(directory: Directory) -> None:
    with pytest.raises(DirectoryError, match="no account 'shop'"):
        directory.credentials.create("shop")
    with pytest.raises(DirectoryError, match="no account 'shop'"):
        directory.credentials.list("shop")
    with pytest.raises(DirectoryError, match="`relay credential list`"):
        directory.credentials.delete("RLAYNOSUCHKEY")


def test_without_its_key_file_nothing_is_made(directory: Directory, key_file: Path) -> None:
    directory.accounts.create("shop")
    key_file.unlink()
    with pytest.raises(DirectoryError, match="no key file"):
        directory.credentials.create("shop")
    assert directory.credentials.list() == ()
