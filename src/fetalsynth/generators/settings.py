"""What can be set of each family of generators; free of torch, so that recipes load fast."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class DCGANSettings(BaseModel):
    """Architecture and optimisation of a DCGAN; the defaults are the 2022 study's at 64 pixels."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    family: Literal["dcgan"] = "dcgan"
    size: int = Field(64, ge=32, le=512, description="Pixels per side, a power of two.")
    channels: Literal[1, 3] = Field(1, description="1 for grey, 3 for RGB.")
    latents: int = Field(100, ge=1, description="Random numbers that an image is made from.")
    generator_width: int = Field(
        64, ge=1, description="Channels next to the image; doubled at every halving of the size."
    )
    discriminator_width: int = Field(64, ge=1, description="The same for the discriminator.")
    max_width: int | None = Field(
        None, ge=1, description="Most channels anywhere; None doubles without limit."
    )
    initial_std: float = Field(0.02, gt=0, description="Spread of the initial weights.")
    generator_learning_rate: float = Field(2e-4, gt=0, description="Adam's step size.")
    discriminator_learning_rate: float = Field(2e-4, gt=0, description="Adam's step size.")
    beta1: float = Field(0.5, ge=0, lt=1, description="Adam's first decay.")
    beta2: float = Field(0.999, ge=0, lt=1, description="Adam's second decay.")
    weight_decay: float = Field(0.0, ge=0, description="L2 penalty on both networks.")
    real_label: float = Field(
        1.0, gt=0, le=1, description="Target for real images; below 1 is label smoothing."
    )
    generator_target: float = Field(
        1.0, gt=0, le=1, description="Target in the generator's own loss."
    )

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
