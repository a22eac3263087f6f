from relay.ingress.counters import Counters


def test_refusals_are_counted_by_code():
    counters = Counters()
    for code in (554, 451, 554):
        counters.count_refused(code)
    assert counters.refused == {554: 2, 451: 1}
