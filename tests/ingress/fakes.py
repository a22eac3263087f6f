"""Small stand-ins for what ingress is joined to."""

import asyncio
from dataclasses import dataclass

from relay.base.admission import Accepted
from relay.base.errors import DirectoryError

KEY_ID = "RLYAABCDEFGHIJKLMNOP"
PASSWORD = "correct horse battery staple"


@dataclass(frozen=True)
class Grant:
    key_id: str
    account_id: int


class Accounts:
    """One credential; may be out of reach."""

    def __init__(self):
        self.is_reachable = True
        self.asked = 0

    def authenticate(self, username, password):
        self.asked += 1
        if not self.is_reachable:
            raise DirectoryError("stale")
        return Grant(KEY_ID, 7) if (username, password) == (KEY_ID, PASSWORD) else None


class RecordingIntake:
    """Accepts at once, or when told, or not at all."""

    def __init__(self):
        self.submissions = []
        self.promises = []
        self.answer = "at once"  # or an exception, or "when told"
        self.came = asyncio.Event()

    def accept(self, submission):
        promise = asyncio.get_running_loop().create_future()
        self.submissions.append(submission)
        self.promises.append(promise)
        self.came.set()
        if isinstance(self.answer, Exception):
            promise.set_exception(self.answer)
        elif self.answer == "at once":
            asyncio.get_running_loop().call_soon(promise.set_result, Accepted(f"id-{len(self.submissions)}"))
        return promise
