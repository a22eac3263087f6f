"""The table [reputation]: from which bounce and complaint rates on accounts are warned, and paused. Pure."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from relay.daemon.settings.section import Seconds, Section

Share = Annotated[float, Field(gt=0.0, le=1.0)]


class ReputationSection(Section):
    """Thresholds; the defaults are those that SES publishes."""

    bounce_warn: Share = 0.05
    bounce_pause: Share = 0.10
    complaint_warn: Share = 0.001
    complaint_pause: Share = 0.005
    minimum_volume: int = Field(default=1000, ge=1)
    pause: bool = False
    review: Seconds = 86400.0

    @model_validator(mode="after")
    def _order(self) -> ReputationSection:
        for rate, warn, pause in (
            ("bounce", self.bounce_warn, self.bounce_pause),
            ("complaint", self.complaint_warn, self.complaint_pause),
        ):
            if warn > pause:
                raise ValueError(
                    f"{rate}_warn ({warn:g}) is above {rate}_pause ({pause:g}): warn before sending is paused"
                )
        return self
