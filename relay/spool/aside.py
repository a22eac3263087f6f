"""What is left of a damaged message, put into ``corrupt/`` before its rows go.

Two files: ``ID.json`` with the envelope and what was found wrong, ``ID.eml`` with the bytes that can still
be read. Both and their names are fsynced, since the caller then removes the rows.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from relay.base.errors import SpoolCorrupt
from relay.base.message import Message
from relay.spool import content

FOLDER = "corrupt"


def write(
    folder: Path,
    message: Message,
    recipients: Sequence[tuple[str, str, str, str]],
    body: bytes | None,
    damage: SpoolCorrupt,
) -> None:
    """Keep the envelope, and the body or the large file. Raises OSError.

    Crash between: the message is found damaged again, and what is here is written once more.
    """
    target = folder / FOLDER
    envelope = {
        "id": message.id,
        "account": message.account_id,
        "arrived_at": message.arrived_at,
        "sender": message.sender,
        "recipients": [
            {"address": address, "notify": notify, "orcpt": orcpt, "reply": reply}
            for address, notify, orcpt, reply in recipients
        ],
        "damage": str(damage),
    }
    _write_file(target / f"{message.id}.json", json.dumps(envelope, indent=1).encode())
    file = content.file_of(folder, message.id)
    if body is not None:
        _write_file(target / f"{message.id}.eml", body)
    elif file.exists():
        file.rename(target / f"{message.id}.eml")
    content.sync_folder(target)


def _write_file(path: Path, text: bytes) -> None:
    with path.open("wb") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
