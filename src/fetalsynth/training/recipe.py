"""Recipes: everything that decides what a training run computes, strictly validated."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from fetalsynth.errors import UserError, explaining
from fetalsynth.generators.settings import DCGANSettings

SHIPPED = Path(__file__).parent / "recipes"


class Augmentation(BaseModel):
    """Random mirroring and rotation, as in the 2022 ultrasound study."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    flip: bool = Field(default=True, description="Mirror half of the images.")
    rotation_degrees: float = Field(
        default=10.0, ge=0, le=180, description="Turn by up to this much either way."
    )
    fill: Literal["black", "grey"] = Field(
        default="black",
        description="Corners that turn into view. The authors' notebook made them grey, and its "
        "generator learned the grey wedges.",
    )
    interpolation: Literal["bilinear", "nearest"] = Field(
        default="bilinear", description="How turned images are read."
    )


class Recipe(BaseModel):
    """A training run but for its data and its seed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="Stands in the report and the model card.")
    description: str = Field("", description="What the recipe is for.")
    generator: DCGANSettings
    augmentation: Augmentation = Augmentation()
    epochs: int = Field(ge=1, description="Passes over the training images.")
    batch_size: int = Field(64, ge=2, description="Images per update, over all processes.")
    images: int | None = Field(
        None,
        ge=1,
        description="Train on this many, chosen by subject; smaller choices lie within larger.",
    )
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
    def _snapshots_lie_within_the_run(self) -> Self:
        if any(epoch < 1 for epoch in self.snapshots):
            raise ValueError("snapshots are epochs from 1 on")
        return self

    def kept_epochs(self) -> list[int]:
        """Epochs after which weights are kept: the listed ones within the run, and the last."""
        return sorted({e for e in self.snapshots if e < self.epochs} | {self.epochs})


def recipe_names() -> list[str]:
    """Names of the recipes that ship with the package."""
    return sorted(path.stem for path in SHIPPED.glob("*.yaml"))


def load_recipe(name_or_path: str) -> Recipe:
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


def parse_recipe(raw: Any, *, where: str) -> Recipe:
    """Validate a mapping as a recipe; UserError lists what is wrong, setting by setting."""
    if not isinstance(raw, dict):
        raise UserError(f"{where}: a recipe is a mapping of settings, see the shipped ones")
    try:
        return Recipe.model_validate(raw)
    except ValidationError as error:
        raise faults(error, where=where) from error


def faults(error: ValidationError, *, where: str) -> UserError:
    """What is wrong with a recipe, setting by setting, in one line."""
    return UserError(f"{where}: {'; '.join(_sentence(item) for item in error.errors())}")


def _sentence(item: Any) -> str:
    setting = ".".join(str(part) for part in item["loc"]) or "recipe"
    if item["type"] == "extra_forbidden":
        known = [*Recipe.model_fields, *DCGANSettings.model_fields, *Augmentation.model_fields]
        close = get_close_matches(setting.split(".")[-1], known, n=1)
        return f"{setting} is no setting" + (f" (did you mean {close[0]}?)" if close else "")
    return f"{setting}: {item['msg']}"


def _read_yaml(path: Path) -> Any:
    import yaml

    with explaining(path):
        text = path.read_text(encoding="utf-8")
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not valid YAML ({str(error).splitlines()[0]})") from error
