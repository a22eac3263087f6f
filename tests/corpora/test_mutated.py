"""Damaged mails are read, soon, and never make it worse (RELAY_MUTATIONS=20000 for more of them)."""

import os
import random

import pytest

from tests.corpora import mutated
from tests.corpora.bounces import FOLDER, mails
from tests.corpora.mutated import damaged, trouble

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the corpus is not here")


def test_damaged_mails() -> None:
    assert list(trouble(range(int(os.environ.get("RELAY_MUTATIONS", "300"))))) == []


def test_a_seed_gives_the_same_mail_again() -> None:
    content = mails()["lhost-postfix-33"]
    made = {damaged(content, random.Random(7))[0] for _ in range(3)}
    assert len(made) == 1
    assert made != {content}


def test_trouble_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(content: bytes) -> None:
        raise ValueError("broken")

    monkeypatch.setattr(mutated, "read", fail)
    assert ["broken" in line for line in trouble(range(3))] == [True] * 3
    monkeypatch.undo()
    monkeypatch.setattr(mutated, "MOST_S", -1.0)
    assert ["took" in line for line in trouble(range(3))] == [True] * 3
