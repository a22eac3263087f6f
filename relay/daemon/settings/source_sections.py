"""The tables of the configuration file that say from where mail leaves: sources, and pools of them.

As ``sections``, which joins them into the whole file. ``check_sources`` sees to what one table
cannot tell: names that stand twice, pools of sources that there are not.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from typing import Literal

from pydantic import Field, field_validator, model_validator

from relay.daemon.settings.section import Section

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")
_HELO = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,253}[A-Za-z0-9_])?|\[[0-9A-Za-z.:]+\]")


def _check_name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError(f"{value!r}: use up to 64 letters, digits, dots, dashes, underscores")
    return value


class SourceSection(Section):
    """Addresses of ours that mail may leave from, and our name there."""

    name: str
    addresses: list[str] = []
    helo_name: str = ""
    prefer: Literal["ipv4", "ipv6", ""] = ""

    _named = field_validator("name")(_check_name)

    @field_validator("addresses")
    @classmethod
    def _one_of_each_family(cls, value: list[str]) -> list[str]:
        versions = [ipaddress.ip_address(one).version for one in value]  # its ValueError says it well
        if len(versions) != len(set(versions)):
            raise ValueError(
                "at most one IPv4 and one IPv6 address; for more, make several and a [[source_pool]]"
            )
        return value

    @field_validator("helo_name")
    @classmethod
    def _is_a_name(cls, value: str) -> str:
        if value and not _HELO.fullmatch(value):
            raise ValueError(f"{value!r} is no host name; give one such as mail2.example.com")
        return value

    @model_validator(mode="after")
    def _preference(self) -> SourceSection:
        versions = {f"ipv{ipaddress.ip_address(one).version}" for one in self.addresses}
        if self.prefer and versions and self.prefer not in versions:
            raise ValueError(f'prefer = "{self.prefer}", but addresses has none of that family')
        return self


class SourcePoolSection(Section):
    """Sources over which the messages of an account are spread."""

    name: str
    sources: list[str] = Field(min_length=1)
    weights: list[int] = []

    _named = field_validator("name")(_check_name)

    @model_validator(mode="after")
    def _one_weight_each(self) -> SourcePoolSection:
        if len(set(self.sources)) != len(self.sources):
            raise ValueError("a source stands twice; give it a larger weight instead")
        if self.weights and (len(self.weights) != len(self.sources) or min(self.weights) < 1):
            raise ValueError("weights needs one whole number above zero for each of sources, in their order")
        return self


def check_sources(sources: Sequence[SourceSection], pools: Sequence[SourcePoolSection], default: str) -> None:
    """Raises ValueError."""
    names = [one.name for one in sources]
    everything = names + [one.name for one in pools]
    for name in everything:
        if everything.count(name) > 1:
            raise ValueError(f'[[source]] or [[source_pool]] name "{name}" stands twice; rename one')
    for pool in pools:
        for name in pool.sources:
            if name not in names:
                known = ", ".join(names) or "none"
                raise ValueError(
                    f'[[source_pool]] "{pool.name}": no [[source]] named "{name}"; there is: {known}'
                )
    if default and default not in everything:
        raise ValueError(f'[delivery] source = "{default}": no [[source]] or [[source_pool]] has that name')
