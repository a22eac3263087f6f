"""``[feedback]``: what may come back, and how much of it. Pure; see ``sections``."""

from __future__ import annotations

from pydantic import Field, field_validator

from relay.base.address import check_address
from relay.daemon.settings.section import Bytes, Section

MAX_BYTES = 10 * 1024 * 1024


class FeedbackSection(Section):
    """Bounds on mail that inbound listeners take."""

    complaints: str = ""
    message_size: Bytes = 4 * 1024 * 1024
    recipients: int = Field(default=5, ge=1, le=100)
    rate: float = Field(default=100.0, ge=0)
    rate_per_address: float = Field(default=20.0, ge=0)

    @field_validator("complaints")
    @classmethod
    def _is_address(cls, value: str) -> str:
        try:
            if value:
                check_address(value)
        except ValueError as error:
            raise ValueError(f'{value!r} is not an address ({error}); e.g. "fbl@example.com"') from None
        return value.lower()

    @field_validator("message_size")
    @classmethod
    def _is_bounded(cls, value: int) -> int:
        if value > MAX_BYTES:
            raise ValueError(f"{MAX_BYTES // 1024 // 1024} MiB at most, no report is larger")
        return value
