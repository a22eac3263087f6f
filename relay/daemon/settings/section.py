"""What the tables of the configuration file have in common: the kinds of values, and how a table is read.

Pure. A duration is a number of seconds or a text with a unit ("5m"), a size a number of bytes or such a text
("10MB"), an endpoint "host:port"; ``Section`` is frozen and refuses keys that it does not know.
"""

from __future__ import annotations

import ipaddress
from typing import Annotated, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict

from relay.daemon.settings.units import parse_duration, parse_endpoint, parse_size

Seconds = Annotated[float, BeforeValidator(parse_duration)]
Bytes = Annotated[int, BeforeValidator(parse_size)]
Endpoint = Annotated[tuple[str, int], BeforeValidator(parse_endpoint)]
OptionalEndpoint = Annotated[
    tuple[str, int] | None, BeforeValidator(lambda t: None if t == "" else parse_endpoint(t))
]
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


def endpoints(value: object) -> object:
    """One endpoint or a list of them, as a list."""
    return [parse_endpoint(v) for v in (value if isinstance(value, list) else [value])]


class Section(BaseModel):
    """A table of the file: frozen, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)
