"""Sources and pools as the configuration file has them, and what is wrong with them said in words."""

from pathlib import Path

import pytest

from relay.base.errors import ConfigError
from relay.daemon.settings.config import Config, parse
from relay.daemon.supervisor import files
from relay.daemon.translate import sources_of

GOOD = """
[delivery]
source = "both"
[[source]]
name = "one"
addresses = ["127.0.0.2", "::1"]
helo_name = "one.example"
prefer = "ipv6"
[[source]]
name = "two"
addresses = ["127.0.0.3"]
[[source_pool]]
name = "both"
sources = ["one", "two"]
weights = [1, 3]
"""


def read(text: str) -> Config:
    return parse(text, Path("/x/relay.toml"))


def test_sources_become_words() -> None:
    sources = sources_of(read(GOOD), lambda name: None)
    one = sources.choose("one", "")
    assert (one.addresses, one.helo_name, one.prefer) == (("127.0.0.2", "::1"), "one.example", "ipv6")
    assert {sources.choose("", f"id{n}").name for n in range(40)} == {"one", "two"}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('name = "two"', 'name = "one"', '"one" stands twice'),
        ('name = "both"', 'name = "one"', '"one" stands twice'),
        (
            'sources = ["one", "two"]',
            'sources = ["one", "too"]',
            'no [[source]] named "too"; there is: one, two',
        ),
        ('sources = ["one", "two"]', 'sources = ["one", "one"]', "stands twice"),
        ("weights = [1, 3]", "weights = [1]", "one whole number above zero"),
        ("weights = [1, 3]", "weights = [0, 1]", "one whole number above zero"),
        ('source = "both"', 'source = "all"', '[delivery] source = "all": no [[source]]'),
        ('"127.0.0.2", "::1"', '"127.0.0.2", "127.0.0.4"', "at most one IPv4 and one IPv6"),
        ('"127.0.0.2", "::1"', '"here"', "'here' does not appear to be an IPv4 or IPv6 address"),
        ('helo_name = "one.example"', 'helo_name = "one example"', "no host name"),
        ('helo_name = "one.example"', 'helo_name = "one\\r\\nMAIL"', "no host name"),
        ('addresses = ["127.0.0.3"]', 'addresses = ["127.0.0.3"]\nprefer = "ipv6"', "none of that family"),
        ('name = "two"', 'name = "t w o"', "use up to 64 letters"),
    ],
)
def test_what_is_wrong_is_named(old: str, new: str, said: str) -> None:
    assert old in GOOD
    with pytest.raises(ConfigError) as error:
        read(GOOD.replace(old, new))
    assert said in str(error.value)


def test_addresses_that_this_machine_has_not_are_remarked() -> None:
    remarks = "\n".join(files.remarks(read(GOOD.replace("127.0.0.3", "192.0.2.77"))))
    assert '[[source]] "two" addresses: 192.0.2.77 cannot be bound' in remarks
    assert "127.0.0.2" not in remarks
    both = "\n".join(
        files.remarks(read(GOOD.replace("[delivery]", '[delivery]\nsource_address = "127.0.0.9"')))
    )
    assert "source_address is not used" in both
