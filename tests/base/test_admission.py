"""An admission that says nothing lets mail leave at once."""

import pytest

from relay.base.admission import Accepted, Admission


@pytest.mark.parametrize(
    ("admission", "is_waiting"),
    [
        (Admission(), False),
        (Admission(due_at=12.0), True),
        (Admission(is_held=True), True),
        (Admission(dropped="Bad content"), False),
    ],
)
def test_what_waits(admission: Admission, is_waiting: bool):
    assert admission.is_waiting is is_waiting


def test_an_accepted_message_has_nothing_to_add():
    assert Accepted("id-1") == ("id-1", "")
