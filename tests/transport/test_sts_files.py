"""Policies on disk: what is saved is loaded; damage is as if there were nothing, and they are bounded."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.codec.mta_sts import StsPolicy, parse_policy
from relay.transport.sts_files import Kept, PolicyFiles

BODY = b"version: STSv1\r\nmode: enforce\r\nmx: *.receiver.example\r\nmax_age: 86400\r\n"
LATER = b"version: STSv1\nmode: none\nmax_age: 60\n"


def kept(domain: str = "receiver.example", body: bytes = BODY, at: float = 1000.5) -> Kept:
    return Kept(domain, parse_policy(body, "1"), at)


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "mta-sts"
    ours, theirs = PolicyFiles(folder), PolicyFiles(folder)
    assert theirs.load("receiver.example") is None
    ours.save(kept())
    assert theirs.load("receiver.example") == kept()
    assert kept().expires_at == 1000.5 + 86400
    ours.save(kept(body=LATER, at=2000))
    assert theirs.load("receiver.example") == kept(body=LATER, at=2000)
    assert [one.name for one in folder.iterdir()] == ["receiver.example.json"]
    assert folder.stat().st_mode & 0o077 == 0


def test_a_name_longer_than_a_file_name_may_be(tmp_path: Path) -> None:
    domain = ".".join(["a" * 60] * 4)
    files = PolicyFiles(tmp_path)
    files.save(kept(domain))
    assert files.load(domain) == kept(domain)
    assert [one.domain for one in files.sweep(1001)] == [domain]


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", '{"domain": "a", "id": "1", "fetched_at": 1}'])
def test_a_damaged_file_is_none_and_is_replaced(tmp_path: Path, text: str) -> None:
    files = PolicyFiles(tmp_path)
    (tmp_path / "receiver.example.json").write_text(text)
    assert files.load("receiver.example") is None
    files.save(kept())
    assert files.load("receiver.example") == kept()


def test_sweeping_removes_what_has_expired_or_is_unreadable(tmp_path: Path) -> None:
    files = PolicyFiles(tmp_path)
    files.save(kept("b.example"))
    files.save(kept("a.example", LATER))
    (tmp_path / "c.example.json").write_text("{")
    assert [one.domain for one in files.sweep(1060.0)] == ["a.example", "b.example"]
    assert [one.domain for one in files.sweep(1060.5)] == ["b.example"]
    assert [one.name for one in tmp_path.iterdir()] == ["b.example.json"]


def test_what_a_dead_process_left_goes_after_an_hour(tmp_path: Path) -> None:
    files = PolicyFiles(tmp_path)
    files.save(kept(at=5000.0))
    left = tmp_path / "other.example.json.77"
    left.write_text("{")
    os.utime(left, (5000.0, 5000.0))
    assert len(list(files.sweep(8600.0))) == 1
    assert left.exists()
    assert len(list(files.sweep(8601.0))) == 1
    assert not left.exists()


def test_no_more_than_the_limit(tmp_path: Path) -> None:
    files = PolicyFiles(tmp_path, limit=2)
    for domain in ("a.example", "b.example", "c.example"):
        files.save(kept(domain))
    assert files.load("c.example") is None
    files.save(kept("a.example", LATER))  # not one more
    assert files.load("a.example") == kept("a.example", LATER)
    assert len(list(files.sweep(2000))) == 1
    files.save(kept("c.example"))
    assert files.load("c.example") == kept("c.example")


def test_a_disk_that_refuses_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    files = PolicyFiles(tmp_path / "file" / "mta-sts")
    files.save(kept())
    assert files.load("receiver.example") is None


@given(st.lists(st.sampled_from(["x: ü", "mx: a.example", "mode: none", "max_age: 7"]), max_size=4))
def test_any_policy_comes_back(tmp_path_factory: pytest.TempPathFactory, more: list[str]) -> None:
    files = PolicyFiles(tmp_path_factory.getbasetemp() / "any")
    policy = parse_policy(BODY + "\n".join(more).encode(), "z")
    files.save(Kept("a.example", policy, 1.0))
    found = files.load("a.example")
    assert found is not None
    assert isinstance(found.policy, StsPolicy)
    assert found.policy == policy
    assert json.dumps(found.policy.lines)
