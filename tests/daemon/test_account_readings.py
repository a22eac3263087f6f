from relay.daemon.supervisor.account_readings import Throttled, account_readings


def account(name: str, quota: int = 100, rate: float = 5.0, refused: int = 0) -> dict[str, object]:
    throttled = {"refused": refused, "delayed": 1, "held": 0}
    return {"name": name, "quota": quota, "rate": rate, "throttled": throttled}


def test_limits_of_accounts_are_joined_from_ledger_and_workers() -> None:
    workers = {
        0: {"limited_accounts": {"1": account("shop", refused=2), "2": account("free", quota=-1)}},
        1: {"limited_accounts": {"1": account("shop", refused=3), "3": account("slow", rate=-1.0)}},
        2: {},
    }
    sent = {1: 120, 2: 7, 3: 40}
    throttled = Throttled()
    for _ in range(2):  # what was told already is not added again
        assert account_readings(sent.__getitem__, list(workers.values()), throttled.note(workers)) == {
            "account_sent": {"shop": 120, "slow": 40, "free": 7},
            "account_quota": {"shop": 100, "slow": 100},
            "account_left": {"shop": 0, "slow": 60},
            "account_rate": {"shop": 5.0, "free": 5.0},
            "account_throttled": {
                "refused shop": 5,
                "delayed shop": 2,
                "held shop": 0,
                "refused slow": 0,
                "delayed slow": 1,
                "held slow": 0,
                "refused free": 0,
                "delayed free": 1,
                "held free": 0,
            },
        }


def test_what_was_throttled_does_not_fall_when_a_worker_is_started_anew() -> None:
    throttled = Throttled()

    def refused(**counts: int) -> int:
        workers = {
            int(name[1:]): {"limited_accounts": {"1": account("shop", refused=n)}}
            for name, n in counts.items()
        }
        return throttled.note(workers)["1"][0]

    assert refused(w0=1000, w1=500) == 1500
    assert refused(w1=501) == 1501  # worker 0 is dead
    assert refused(w0=0, w1=501) == 1501  # and begins again
    assert refused(w0=7, w1=502) == 1509
    assert refused(w0=7, w1=3) == 1512


def test_those_with_the_most_mail_are_shown() -> None:
    workers = [{"limited_accounts": {str(number): account(f"a{number}") for number in range(300)}}]
    found = account_readings(lambda number: number, workers, {}, most=3)
    assert found["account_sent"] == {"a299": 299, "a298": 298, "a297": 297}
    assert set(found["account_left"]) == {"a299", "a298", "a297"}
    assert len(found["account_throttled"]) == 9


def test_accounts_that_were_never_throttled_give_way_to_those_that_were() -> None:
    workers = {0: {"limited_accounts": {str(number): account(f"a{number}") for number in range(60)}}}
    found = account_readings(lambda number: number, list(workers.values()), Throttled().note(workers))
    assert found["account_throttled"] == {f"delayed a{number}": 1 for number in range(60)}


def test_without_workers_there_is_nothing() -> None:
    assert all(not one for one in account_readings(lambda _: 1, [], Throttled().note({})).values())
