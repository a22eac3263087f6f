"""What several workers are at, joined."""

from typing import Any

from relay.admin.activity import join_accounts, join_sites, stopped


def site(name: str, connections: int, waiting: int, state: str = "open", **more: Any) -> dict[str, Any]:
    return {
        "site": name, "connections": connections, "waiting": waiting, "state": state, "why": f"{state} here",
        "rate_per_s": None, "retry_in_s": 0.0, "reply_s": 0.1, **more,
    }  # fmt: skip


def test_sites_are_added_up_and_the_worst_state_is_told() -> None:
    looks = [
        {"sites": [site("mx.a", 2, 10), site("mx.b", 0, 0, "down", retry_in_s=30.0)]},
        {"sites": [site("mx.a", 1, 5, "paced", rate_per_s=2.5), site("mx.b", 1, 0, "probing")]},
    ]
    first, second = join_sites(looks, 10)
    assert (first["site"], first["state"], first["why"], first["connections"]) == (
        "mx.b", "down", "down here", 1,
    )  # fmt: skip
    assert first["retry_in_s"] == 30.0
    assert (second["connections"], second["waiting"], second["state"], second["rate_per_s"]) == (
        3, 15, "paced", 2.5,
    )  # fmt: skip


def test_no_more_sites_than_asked_for_the_busiest_first() -> None:
    looks = [{"sites": [site(f"mx.{n:02}", n, 100 - n) for n in range(50)]}]
    assert [one["site"] for one in join_sites(looks, 3)] == ["mx.00", "mx.01", "mx.02"]


def test_a_state_that_is_not_known_is_not_bad() -> None:
    assert join_sites([{"sites": [site("x", 1, 1, "new")]}, {"sites": [site("x", 1, 1, "down")]}], 5)[0][
        "state"
    ] == "down"  # fmt: skip


def test_accounts_are_added_up() -> None:
    def account(name: str, accepted: int, per_s: float) -> dict[str, Any]:
        return {"account": name, "accepted": accepted, "per_s": per_s, "state": "active"}

    looks = [
        {"accounts": [account("idle", 900, 0.0), account("shop", 10, 1.0)]},
        {"accounts": [account("shop", 20, 2.0), account("news", 5, 2.5)]},
    ]
    joined = [(one["account"], one["accepted"], one["per_s"]) for one in join_accounts(looks, 3)]
    assert joined == [("shop", 30, 3.0), ("news", 5, 2.5), ("idle", 900, 0.0)]
    assert len(join_accounts(looks, 1)) == 1


def test_what_is_stopped_is_told_once() -> None:
    look = {"sites": [], "accounts": [], "paused": [["shop", "bounces"]], "paused_count": 1,
            "suspended": [], "suspended_count": 0}  # fmt: skip
    assert stopped([look, look]) == {name: look[name] for name in look if name not in ("sites", "accounts")}
    assert stopped([]) == {}
