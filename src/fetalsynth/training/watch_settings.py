"""Settings of the watch that training keeps on copying."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class WatchSettings(BaseModel):
    """When to look, what to call too near, and when to stop."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    every_epochs: int | None = Field(
        default=None,
        ge=0,
        description="Look after every so many epochs; 0 never; None about 20 times, fewer where "
        "looking would take more than a twentieth of the training.",
    )
    least_ratio: float = Field(
        default=0.9,
        gt=0,
        lt=1,
        description="Least distance to the nearest training image, as a share of that of unseen "
        "patients, for a snapshot to be chosen.",
    )
    patience_looks: int = Field(
        default=0,
        ge=0,
        description="Stop after so many looks in a row that were too near or did not lower the "
        "held-out loss; 0 never stops.",
    )

    @model_validator(mode="after")
    def _patience_needs_looks(self) -> Self:
        if self.patience_looks and self.every_epochs == 0:
            raise ValueError("patience_looks counts looks, and every_epochs 0 takes none")
        return self
