"""What can be set of each family of generators; free of torch, so that recipes load fast."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

MOST_GUIDANCE = 20.0


class DCGANSettings(BaseModel):
    """Architecture and optimisation of a DCGAN; the defaults are the 2022 study's at 64 pixels."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

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


class SPADESettings(BaseModel):
    """Architecture and optimisation of SPADE; the defaults are those of the 2022 MRI study."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    family: Literal["spade"] = "spade"
    size: int = Field(256, ge=64, le=1024, description="Pixels per side, a power of two.")
    channels: int = Field(1, ge=1, description="Channels of the images.")
    labels: int = Field(8, ge=2, le=255, description="Labels, the background included.")
    width: int = Field(64, ge=1, description="Channels next to the image; up to 16 times inside.")
    upsampling: Literal["normal", "more", "most"] = Field(
        "normal", description="Halvings between the image and the innermost map: 5, 6 or 7."
    )
    hidden: int = Field(128, ge=1, description="Channels of the label network of a SPADE layer.")
    normalisation: Literal["batch", "sync", "instance"] = Field(
        "sync",
        description="Of the activations that the labels modulate; sync takes the statistics over "
        "all processes. Batch statistics of one slice are set right by calibration.",
    )
    encoder: bool = Field(
        default=False, description="Draw the innermost map from a variational encoder of images."
    )
    latents: int = Field(256, ge=1, description="Random numbers per image, with the encoder.")
    plane_condition: bool = Field(
        default=False, description="Tell the network which plane a slice lies in."
    )
    discriminators: int = Field(2, ge=1, le=4, description="Scales, each half the one before.")
    discriminator_layers: int = Field(4, ge=2, le=6, description="Strided layers, and one.")
    discriminator_width: int = Field(64, ge=1, description="Channels of its first layer.")
    initial_gain: float = Field(0.02, gt=0, description="Gain of Xavier's normal weights.")
    learning_rate: float = Field(2e-4, gt=0, description="Adam's step size, before the next.")
    two_time_scales: bool = Field(
        default=True,
        description="Half the rate for the generator, twice for the discriminator, and betas "
        "(0, 0.9); else one rate and betas (0.5, 0.999).",
    )
    feature_matching_weight: float = Field(10.0, ge=0, description="λ of feature matching.")
    perceptual: Literal["none", "vgg19", "inception768"] = Field(
        "none", description="Network of the perceptual loss; its weights come from a file."
    )
    perceptual_weight: float = Field(10.0, ge=0, description="λ of the perceptual loss.")
    divergence_weight: float = Field(0.05, ge=0, description="λ of the encoder's divergence.")

    @model_validator(mode="after")
    def _size_is_a_power_of_two(self) -> Self:
        if self.size & (self.size - 1):
            raise ValueError(f"size must be a power of two from 64 to 1024, not {self.size}")
        halvings = {"normal": 5, "more": 6, "most": 7}[self.upsampling]
        if self.size >> halvings < 2:
            raise ValueError(
                f'upsampling "{self.upsampling}" halves {halvings} times, which takes a size of '
                f"{2 << halvings} or more, not {self.size}"
            )
        return self


class UNetSettings(BaseModel):
    """Architecture and optimisation of the network that segments images into tissue labels."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    family: Literal["unet"] = "unet"
    size: int = Field(128, ge=32, le=1024, description="Pixels per side, a multiple of 2^levels.")
    channels: int = Field(1, ge=1, description="Channels of the images.")
    labels: int = Field(8, ge=2, le=255, description="Labels, the background included.")
    width: int = Field(16, ge=1, description="Channels at full size; doubled at every halving.")
    levels: int = Field(4, ge=1, le=6, description="Halvings of the size.")
    plane_condition: bool = Field(
        default=False, description="Tell the network which plane a slice lies in."
    )
    learning_rate: float = Field(1e-3, gt=0, description="Adam's step size.")

    @model_validator(mode="after")
    def _size_can_be_halved(self) -> Self:
        if self.size % 2**self.levels or self.size <= 2**self.levels:
            raise ValueError(
                f"size must be a multiple of {2**self.levels} and larger, not {self.size}"
            )
        return self


class FlowSettings(BaseModel):
    """Architecture, optimisation and sampling of flow matching on pixels.

    Times and noise levels are those of :mod:`fetalsynth.generators.flow.path`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    family: Literal["flow"] = "flow"
    size: int = Field(64, ge=16, le=1024, description="Pixels per side.")
    channels: Literal[1, 3] = Field(1, description="1 for grey, 3 for RGB.")
    condition: Literal["none", "head", "labels"] = Field(
        "none",
        description="What images are made from besides noise: nothing, the outline and age of a "
        "fetal head, or label maps of slices.",
    )
    labels: int = Field(8, ge=2, le=255, description="Labels of the maps; of heads always 3.")
    context: int = Field(
        0,
        ge=0,
        le=4,
        description="With labels: slices on either side whose labels the network sees as well.",
    )
    plane_condition: bool = Field(
        default=False, description="Tell the network which plane a slice lies in."
    )
    augmentation_condition: bool = Field(
        default=True,
        description="Tell the network how an image was augmented, so that it does not make such.",
    )
    condition_dropout: float = Field(
        0.1,
        ge=0,
        le=0.5,
        description="Share of images trained on without their condition; of as many more the age "
        "alone is held back, so that it may be unknown.",
    )
    patch: int = Field(2, ge=1, le=16, description="Side of the squares of pixels that become one.")
    widths: tuple[Annotated[int, Field(ge=1, le=4096)], ...] = Field(
        (64, 128, 192), min_length=1, description="Channels at each resolution, finest first."
    )
    blocks: int = Field(1, ge=1, le=8, description="Blocks per resolution, on either way.")
    attention: bool = Field(default=True, description="Attend to all places at the coarsest.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Within the blocks.")
    prediction: Literal["skip", "image"] = Field(
        "skip",
        description="The network corrects the best linear guess of the image (skip), or predicts "
        "the image itself.",
    )
    image_mean: float = Field(-0.6, description="Grey level that becomes 0, of −1 to 1.")
    image_sd: float = Field(0.4, gt=0, description="Spread of the grey levels that becomes 1.")
    time_mean: float = Field(-0.5, description="Mean of log σ of the noise levels trained at.")
    time_sd: float = Field(1.2, gt=0, description="Their spread.")
    optimizer: Literal["muon", "adamw"] = Field(
        "muon", description="Muon for the convolutions and AdamW for the rest, or AdamW for all."
    )
    learning_rate: float = Field(4e-3, gt=0, description="Step size of the optimizer.")
    weight_decay: float = Field(0.01, ge=0, description="Pull of the weights towards 0.")
    black_below: float = Field(
        1.5,
        ge=0,
        lt=255,
        description="Grey levels of 255 below which a made image is black. What is black in real "
        "images comes out a little above as often as below, and only the latter is cut off.",
    )
    sampler: Literal["euler", "multistep", "heun"] = Field(
        "heun", description="How images are made from noise."
    )
    steps: int = Field(24, ge=1, le=1000, description="Steps from noise to image.")
    guidance: float = Field(
        1.0,
        ge=0,
        le=MOST_GUIDANCE,
        description="How far to follow the condition; 1 as learned, more exaggerates.",
    )

    @property
    def label_slices(self) -> int:
        """Slices of labels that the network sees."""
        return 2 * self.context + 1

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        factor = self.patch * 2 ** (len(self.widths) - 1)
        if self.size % factor:
            raise ValueError(
                f"size must be a multiple of {factor} (patch {self.patch}, halved "
                f"{len(self.widths) - 1} times), not {self.size}"
            )
        if self.condition == "head" and self.labels != 3:
            raise ValueError('labels is 3 with condition "head": outside, skull, inside')
        if self.condition == "none" and self.guidance != 1:
            raise ValueError('guidance follows a condition, and condition is "none"; leave it at 1')
        if self.guidance != 1 and self.condition_dropout == 0:
            raise ValueError(
                "guidance compares with images made without condition, which a network never "
                "learns with condition_dropout 0; raise that, or leave guidance at 1"
            )
        if self.condition != "labels" and (self.context or self.plane_condition):
            raise ValueError('context and plane_condition need condition "labels"')
        return self


Settings = DCGANSettings | SPADESettings | UNetSettings | FlowSettings
SETTINGS: dict[
    str,
    type[DCGANSettings] | type[SPADESettings] | type[UNetSettings] | type[FlowSettings],
] = {
    "dcgan": DCGANSettings,
    "spade": SPADESettings,
    "unet": UNetSettings,
    "flow": FlowSettings,
}


def parse_settings(raw: dict[str, Any]) -> Settings:
    """Settings of the family that ``raw["family"]`` names."""
    return SETTINGS[raw["family"]].model_validate(raw)
