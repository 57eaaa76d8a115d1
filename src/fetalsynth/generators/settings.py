"""What can be set of each family of generators; free of torch, so that recipes load fast."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class DCGANSettings(BaseModel):
    """Architecture and optimisation of a DCGAN; the defaults are the 2022 study's at 64 pixels.

    ``width`` is the number of channels next to the image; it doubles with every halving of the
    resolution, up to ``max_width`` (None: without limit, as the authors' 128 and 256 networks).
    ``real_label`` and ``generator_target`` are the targets of the binary cross entropy.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    family: Literal["dcgan"] = "dcgan"
    size: int = Field(64, ge=32, le=512)
    channels: Literal[1, 3] = 1
    latents: int = Field(100, ge=1)
    generator_width: int = Field(64, ge=1)
    discriminator_width: int = Field(64, ge=1)
    max_width: int | None = Field(None, ge=1)
    initial_std: float = Field(0.02, gt=0)
    generator_learning_rate: float = Field(2e-4, gt=0)
    discriminator_learning_rate: float = Field(2e-4, gt=0)
    beta1: float = Field(0.5, ge=0, lt=1)
    beta2: float = Field(0.999, ge=0, lt=1)
    weight_decay: float = Field(0.0, ge=0)
    real_label: float = Field(1.0, gt=0, le=1)
    generator_target: float = Field(1.0, gt=0, le=1)

    @model_validator(mode="after")
    def _size_is_a_power_of_two(self) -> Self:
        if self.size & (self.size - 1):
            raise ValueError(f"size must be a power of two from 32 to 512, not {self.size}")
        return self


SETTINGS = {
    "dcgan": DCGANSettings,
}


def parse_settings(raw: dict[str, Any]) -> DCGANSettings:
    """Settings of the family that ``raw["family"]`` names."""
    return SETTINGS[raw["family"]].model_validate(raw)
