"""The order of hosts."""

from relay.base.route import Host
from relay.transport.connect import in_order


def test_preferences_first_and_equals_shuffled():
    hosts = (
        Host("c", preference=20),
        Host("a", preference=10),
        Host("b", preference=10),
        Host("d", preference=30),
    )
    assert [h.name for h in in_order(hosts, lambda group: group.reverse())] == ["b", "a", "c", "d"]
