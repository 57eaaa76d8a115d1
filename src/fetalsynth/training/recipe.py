"""Recipes: everything that decides what a training run computes, strictly validated."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from fetalsynth.anatomy.planes import PLANES, Plane
from fetalsynth.errors import UserError, explaining
from fetalsynth.generators.settings import (
    SETTINGS,
    DCGANSettings,
    FlowSettings,
    Settings,
    SPADESettings,
    UNetSettings,
)
from fetalsynth.training.watch_settings import WatchSettings

SHIPPED = Path(__file__).parent / "recipes"


class Augmentation(BaseModel):
    """Random mirroring (of slices only left for right) and rotation, as in the ultrasound study."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    flip: bool = Field(default=True, description="Mirror half of the images.")
    rotation_degrees: float = Field(
        default=10.0, ge=0, le=180, description="Turn by up to this much either way."
    )
    zoom: float = Field(
        default=0.0, ge=0, le=1, description="Magnify or shrink by up to this share."
    )
    shift: float = Field(
        default=0.0, ge=0, le=0.5, description="Move by up to this share of the side, each way."
    )
    share: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="Share of the images that are turned, magnified and moved at all.",
    )
    fill: Literal["black", "grey"] = Field(
        default="black",
        description="Corners that turn into view. The authors' notebook made them grey, and its "
        "generator learned the grey wedges.",
    )
    interpolation: Literal["bilinear", "nearest"] = Field(
        default="bilinear", description="How turned images are read."
    )

    def does_nothing(self) -> bool:
        """Whether every image stays as it is."""
        moves = self.rotation_degrees or self.zoom or self.shift
        return not self.flip and not (moves and self.share)


class Run(BaseModel):
    """What every training run has, whatever it trains on."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: str = Field(description="Stands in the report and the model card.")
    description: str = Field("", description="What the recipe is for.")
    generator: Settings
    augmentation: Augmentation = Augmentation()
    epochs: int = Field(ge=1, description="Passes over the training images.")
    decay_epochs: int = Field(
        0,
        ge=0,
        description="Over the last so many epochs the learning rates fall towards 0; with epochs "
        "alone on the command line, the same share of them.",
    )
    warmup_images: int = Field(
        0, ge=0, description="Over the first so many images the learning rates rise from 0."
    )
    batch_size: int = Field(64, ge=1, description="Images per update, over all processes.")
    split: Literal["train", "all"] = Field(
        "train", description="Leave held-out subjects out, or train on all."
    )
    snapshots: tuple[int, ...] = Field(
        (), description="Keep weights after these epochs; those of the last are always kept."
    )
    average_half_life_images: int = Field(
        10_000,
        ge=0,
        description="Half-life of the moving average of the weights, in images; 0 for none.",
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="auto takes bfloat16 where the processor computes in it."
    )
    log_every_images: int = Field(2_000, ge=1, description="One row of stats.jsonl per so many.")
    previews: int = Field(10, ge=1, description="Contact sheets over the run.")

    @model_validator(mode="after")
    def _epochs_lie_within_the_run(self) -> Self:
        if any(epoch < 1 for epoch in self.snapshots):
            raise ValueError("snapshots are epochs from 1 on")
        if self.decay_epochs > self.epochs:
            raise ValueError(
                f"decay_epochs are the last of the epochs: give from 0 to {self.epochs}, not "
                f"{self.decay_epochs}"
            )
        return self

    def kept_epochs(self) -> list[int]:
        """Epochs after which weights are kept: the listed ones within the run, and the last."""
        return sorted({e for e in self.snapshots if e < self.epochs} | {self.epochs})

    def rate_factor(self, epoch: int, *, images_seen: int = 0) -> float:
        """What the learning rates are multiplied by in ``epoch`` (from 0 on)."""
        falling = epoch - (self.epochs - self.decay_epochs)
        fallen = 1.0 - max(0, falling) / self.decay_epochs if self.decay_epochs else 1.0
        risen = (images_seen + self.batch_size) / self.warmup_images if self.warmup_images else 1.0
        return fallen * min(1.0, risen)


class Recipe(Run):
    """A training run on images, but for its data and its seed."""

    generator: DCGANSettings | FlowSettings = Field(discriminator="family")
    batch_size: int = Field(64, ge=2, description="Images per update, over all processes.")
    images: int | None = Field(
        None,
        ge=1,
        description="Train on this many, chosen by subject; smaller choices lie within larger.",
    )
    watch: WatchSettings = WatchSettings()


class SliceRecipe(Run):
    """A training run on the slices of labelled volumes, but for its data and its seed."""

    generator: SPADESettings | UNetSettings | FlowSettings = Field(discriminator="family")
    planes: tuple[Plane, ...] = Field(PLANES, min_length=1, description="Planes to train for.")
    one_network: bool = Field(
        default=False, description="One network for all planes, told which; else one for each."
    )
    spacing_mm: float | None = Field(
        None, gt=0, description="Resample to this voxel size; None keeps that of each volume."
    )
    empty_slices: float = Field(
        0.0, ge=0, le=1, description="Share of the slices without any label that is trained on."
    )
    volumes: int | None = Field(
        None, ge=1, description="Train on this many; smaller choices lie within larger."
    )
    reconstruction: str | None = Field(
        None, description="Train only on volumes of this reconstruction method, such as irtk."
    )

    @model_validator(mode="after")
    def _planes_fit_the_network(self) -> Self:
        if len(set(self.planes)) != len(self.planes):
            raise ValueError("planes lists one twice")
        if self.one_network != self.generator.plane_condition:
            raise ValueError("one_network and generator.plane_condition go together: set both")
        if self.generator.channels != 1:
            raise ValueError("generator.channels is 1 here: the slices of volumes are grey")
        return self

    def networks(self) -> dict[str, tuple[Plane, ...]]:
        """What is trained one after the other: folder in the model → planes of its slices."""
        if self.one_network:
            return {"shared": self.planes}
        return {plane: (plane,) for plane in self.planes}


class WatchedSliceRecipe(SliceRecipe):
    """One of a generator, which may copy slices; networks that find labels copy nobody."""

    generator: SPADESettings | FlowSettings = Field(discriminator="family")
    watch: WatchSettings = WatchSettings()


RECIPES: dict[str, type[Recipe] | type[SliceRecipe]] = {
    "dcgan": Recipe,
    "flow": Recipe,
    "spade": WatchedSliceRecipe,
    "unet": SliceRecipe,
}


def recipe_names() -> list[str]:
    """Names of the recipes that ship with the package."""
    return sorted(path.stem for path in SHIPPED.glob("*.yaml"))


def load_recipe(name_or_path: str) -> Recipe | SliceRecipe:
    """Read a recipe by the name of a shipped one or from a YAML file; UserError if it is faulty."""
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml"):
        path = SHIPPED / f"{name_or_path}.yaml"
        if name_or_path not in recipe_names():
            close = get_close_matches(name_or_path, recipe_names(), n=1)
            hint = f"did you mean {close[0]}? " if close else ""
            raise UserError(
                f"there is no recipe {name_or_path!r}; {hint}"
                f"shipped are {', '.join(recipe_names())}; your own is a path that ends in .yaml"
            )
    return parse_recipe(_read_yaml(path), where=str(path))


def parse_recipe(raw: Any, *, where: str) -> Recipe | SliceRecipe:
    """Validate a mapping as a recipe; UserError lists what is wrong, setting by setting."""
    if not isinstance(raw, dict):
        raise UserError(f"{where}: a recipe is a mapping of settings, see the shipped ones")
    generator = raw.get("generator")
    family = generator.get("family", "dcgan") if isinstance(generator, dict) else "dcgan"
    if family not in RECIPES:
        raise UserError(f"{where}: generator.family: {family!r} is none of {', '.join(RECIPES)}")
    kind = RECIPES[family]
    if family == "flow" and isinstance(generator, dict) and generator.get("condition") == "labels":
        kind = WatchedSliceRecipe
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        raise faults(error, where=where) from error


def faults(error: ValidationError, *, where: str) -> UserError:
    """What is wrong with a recipe, setting by setting, in one line."""
    return UserError(f"{where}: {'; '.join(_sentence(item) for item in error.errors())}")


def _sentence(item: Any) -> str:
    parts = [str(part) for part in item["loc"] if part not in SETTINGS]
    setting = ".".join(parts) or "recipe"
    if item["type"] == "extra_forbidden":
        models = [*RECIPES.values(), *SETTINGS.values(), Augmentation, WatchSettings]
        known = [field for model in models for field in model.model_fields]
        name = setting.split(".")[-1]
        if name in known:
            return f"{setting} is no setting of this kind of recipe; leave it out"
        close = get_close_matches(name, known, n=1)
        return f"{setting} is no setting" + (f" (did you mean {close[0]}?)" if close else "")
    return f"{setting}: {item['msg'].removeprefix('Value error, ')}"


def _read_yaml(path: Path) -> Any:
    import yaml

    with explaining(path):
        text = path.read_text(encoding="utf-8")
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not valid YAML ({str(error).splitlines()[0]})") from error
