import json

from bench.report import noise, summary, table

RELAY = {"delivered_per_s": 3000.0, "cpu_s_per_1000": 0.4, "peak_rss_mb": 200.0, "accept_p99_ms": 9.0}
POSTFIX = {"delivered_per_s": 600.0, "cpu_s_per_1000": 3.2, "peak_rss_mb": 900.0, "accept_p99_ms": 90.0}


def test_two_sides_have_a_ratio():
    text = table("4096 bytes", {"relay": RELAY, "postfix": POSTFIX})
    (row,) = [line for line in text.splitlines() if line.startswith("delivered, messages/s")]
    assert row.split() == ["delivered,", "messages/s", "3,000", "600", "5.00"]


def test_one_side_has_none():
    assert "ratio" not in table("4096 bytes", {"relay": RELAY})


def test_the_summary_is_json_with_the_figures_that_are_watched():
    full = {4096: {"relay": RELAY, "postfix": POSTFIX}}
    words = json.loads(json.dumps(summary(full, full, {"rsa2048_sign_us": 200.0}, [])))
    assert words["ratio_4k"] == 5
    assert words["ratio_100k"] is None
    assert words["cpu_ratio_4k"] == 0.125
    assert words["p99_accept_ms"] == 9
    assert words["peak_rss_mb"] == 200
    assert words["cpu_per_message_in_signatures"] == 2


def test_the_summary_bears_a_missing_side():
    words = summary({4096: {"postfix": POSTFIX}}, {}, {}, [])
    assert (words["ratio_4k"], words["peak_rss_mb"], words["p99_accept_ms"]) == (None, None, None)


def test_only_other_work_at_full_speed_is_worth_a_warning():
    assert not noise(
        [{"what": "warm-up", "others_cores": 1.5}, {"what": "full speed 1", "others_cores": 0.2}]
    )
    assert "1.50 cores" in noise([{"what": "full speed 1", "others_cores": 1.5}])


def test_a_disk_that_stalls_is_worth_a_warning():
    quiet = {"what": "860/s", "side": "relay", "others_cores": 0.0, "disk_max_ms": 40.0}
    assert noise([quiet]) == ""
    assert "641 ms" in noise([quiet, quiet | {"disk_max_ms": 641.0}])
    assert noise([quiet | {"side": "postfix", "disk_max_ms": 641.0}]) == ""
